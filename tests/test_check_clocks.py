"""What a GPU's clocks did, as an imaginary NVML tells it; the real one needs a GPU."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
from executor_work import spec

from bench.gate import clocks
from bench.gate.clocks import Cards, moved
from bench.gate.turn import Length, Processes
from bench.gate.worktrees import Revision, Tree
from bench.records import Clocks, Subject

ROOT = Path(__file__).parents[1]
STEADY = Clocks(1980, 2619, 61, 412.5, "")
UUID = "11111111-2222-3333-4444-555555555555"
PLACE = "00000000:3b:00.0"


class Nvml:
    """The module, with one card in it; a name that the real one lacks fails the test."""

    NVMLError = pynvml.NVMLError

    def __init__(self, throttle=0, known=f"GPU-{UUID}", mig=None, old=False, silent=()):
        self.known, self.silent, self.asked = known, {*silent}, []
        self.answers = {
            "nvmlDeviceGetPowerUsage": lambda card: 412_500,
            "nvmlDeviceGetClockInfo": lambda card, kind: {1: 1980, 2: 2619}[kind],
            "nvmlDeviceGetTemperature": lambda card, sensor: 61,
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda card: throttle,
            "nvmlDeviceGetPowerManagementLimit": lambda card: 700_000,
            "nvmlDeviceGetApplicationsClock": lambda card, kind: {1: 1755, 2: 2619}[kind],
            "nvmlDeviceGetPersistenceMode": lambda card: 1,
            "nvmlDeviceIsMigDeviceHandle": lambda card: card == "part",
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda card: "card",
            "nvmlDeviceGetHandleByUUID": self._handle,
            "nvmlDeviceGetHandleByPciBusId": self._handle,
        }
        if not old:
            self.answers["nvmlDeviceGetCurrentClocksEventReasons"] = lambda card: throttle
        if mig is not None:
            self.answers["nvmlDeviceGetMigMode"] = lambda card: [mig, mig]

    def _handle(self, name):
        if name != self.known:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return "part" if name.startswith("MIG-") else "card"

    def __getattr__(self, name):
        real = getattr(pynvml, name)  # AttributeError: no such thing in the real one
        if not callable(real):
            return real
        self.asked.append(name)
        if name not in self.answers or name in self.silent:
            return self._refuse
        return self.answers[name]

    def _refuse(self, *about):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def cards(nvml):
    place = {"pci_domain_id": 0, "pci_bus_id": 0x3B, "pci_device_id": 0}
    return Cards(nvml, lambda device: SimpleNamespace(uuid=UUID, **place))


def test_card_is_read_as_nvml_tells_it():
    assert cards(Nvml()).read("cuda:0") == STEADY


@pytest.mark.parametrize("old", [False, True], ids=["events", "throttle"])
def test_reasons_have_nvmls_names_by_either_function(old):
    held = pynvml.nvmlClocksThrottleReasonSwPowerCap | pynvml.nvmlClocksThrottleReasonGpuIdle
    assert cards(Nvml(held, old=old)).read("cuda:0").throttle == "GpuIdle, SwPowerCap"


def test_every_reason_that_nvml_knows_has_a_name_here():
    names = {
        name for name in dir(pynvml) if re.match(r"nvmlClocks(Event|Throttle)Reason[A-Z]", name)
    }
    bits = {name: getattr(pynvml, name) for name in names if not name.endswith(("All", "None"))}
    for name, bit in bits.items():
        assert "0x" not in cards(Nvml(bit)).read("cuda:0").throttle, name


def test_reason_of_a_later_driver_is_told_as_its_bit():
    assert cards(Nvml(1 << 40 | 4)).read("cuda:0").throttle == "SwPowerCap, 0x10000000000"


@pytest.mark.parametrize("known", [f"GPU-{UUID}", PLACE], ids=["uuid", "bus"])
def test_card_is_found_by_what_it_is_and_not_by_its_number(known):
    nvml = Nvml(known=known)
    assert cards(nvml).read("cuda:3") == STEADY
    assert "nvmlDeviceGetHandleByIndex" not in nvml.asked


def test_card_that_nvml_does_not_have_is_all_nulls():
    assert cards(Nvml(known="GPU-another")).read("cuda:0") == Clocks()
    assert cards(Nvml(known="GPU-another")).policy("cuda:0") == "not told"


def test_card_is_looked_for_once():
    nvml = Nvml()
    found = cards(nvml)
    for _ in range(3):
        found.read("cuda:0")
    assert nvml.asked.count("nvmlDeviceGetHandleByUUID") == 1


def test_what_a_card_does_not_tell_is_null_and_the_rest_is_there():
    silent = ["nvmlDeviceGetPowerUsage", "nvmlDeviceGetCurrentClocksEventReasons",
              "nvmlDeviceGetCurrentClocksThrottleReasons"]  # fmt: skip
    found = cards(Nvml(silent=silent)).read("cuda:0")
    assert found == replace(STEADY, power_w=None, throttle=None)
    nothing = Nvml()
    nothing.answers.clear()
    assert cards(nothing).read("cuda:0") == Clocks()


def test_policy_says_what_is_set():
    told = "power limit 700 W, application clocks 1755 and 2619 MHz, persistence on"
    assert cards(Nvml(mig=0)).policy("cuda:0") == told
    silent = ["nvmlDeviceGetApplicationsClock", "nvmlDeviceGetPersistenceMode"]
    assert cards(Nvml(silent=silent)).policy("cuda:0") == "power limit 700 W"


@pytest.mark.parametrize(
    "nvml", [Nvml(mig=1), Nvml(known=f"MIG-{UUID}")], ids=["card in parts", "part"]
)
def test_part_of_a_card_is_said_plainly_and_read_as_the_whole(nvml):
    found = cards(nvml)
    assert found.policy("cuda:0").startswith("a MIG part of a card whose clocks all parts share, ")
    assert found.read("cuda:0") == STEADY


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"sm_mhz": 1935}, None),  # three steps of 15 MHz: 2.3 %
        ({"sm_mhz": 1755}, "SM clock 1980 → 1755 MHz"),
        ({"sm_mhz": 2100}, "SM clock 1980 → 2100 MHz"),
        ({"memory_mhz": 1593}, "memory clock 2619 → 1593 MHz"),
        ({"temperature_c": 84, "power_w": 690.0}, None),
        ({"throttle": "HwThermalSlowdown"}, "hardware thermal slowdown"),
        ({"throttle": "GpuIdle, ApplicationsClocksSetting, SyncBoost"}, None),
        ({"throttle": "0x10000000000"}, None),
        (
            {"sm_mhz": 1200, "throttle": "HwSlowdown, HwPowerBrakeSlowdown"},
            "SM clock 1980 → 1200 MHz, hardware slowdown, power brake",
        ),
        ({"sm_mhz": None, "throttle": None}, None),
    ],
)
def test_movement_is_told_in_words(change, told):
    assert moved(STEADY, replace(STEADY, **change)) == told


def test_reason_that_was_there_before_held_both_sides_back():
    capped = replace(STEADY, throttle="SwPowerCap")
    assert moved(capped, capped) is None
    assert moved(capped, STEADY) is None
    assert moved(capped, replace(STEADY, throttle="SwPowerCap, SwThermalSlowdown")) == (
        "software thermal slowdown"
    )


def test_nothing_told_is_no_movement():
    assert moved(Clocks(), Clocks()) is None
    assert moved(Clocks(), STEADY) is None


@pytest.fixture
def _anew():
    clocks._cards.cache_clear()
    yield
    clocks._cards.cache_clear()


@pytest.mark.usefixtures("_anew")
@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
                                   pynvml.NVML_ERROR_DRIVER_NOT_LOADED])  # fmt: skip
def test_machine_without_a_driver_has_no_clocks_and_no_crash(error, monkeypatch):
    def refuse():
        raise pynvml.NVMLError(error)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert clocks.read("cuda:0") == Clocks()
    assert clocks.policy("cuda:0") == "not told"


@pytest.mark.usefixtures("_anew")
def test_environment_without_the_module_has_no_clocks_and_no_crash(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert clocks.read("cuda:0") == Clocks()


def test_cpu_has_no_clocks_and_asks_for_none(monkeypatch):
    monkeypatch.setattr(clocks, "_cards", None)
    assert clocks.read("cpu") == Clocks()


class Side:
    """A worker that notes what it is asked, and answers at once."""

    def __init__(self, heard):
        self.heard = heard

    def send(self, do, **request):
        self.heard.append(do)

    def receive(self):
        return {"seconds": 0.1, "step_seconds": 0.01, "peak_memory_bytes": 1, "files": {},
                "strays": {}}  # fmt: skip

    def ask(self, do, **request):
        self.send(do)
        return self.receive()


@pytest.mark.parametrize(("device", "idle"), [("cuda:0", False), ("cpu", True)])
def test_gpu_is_read_while_a_block_is_under_way_that_is_not_timed(device, idle):
    heard = []

    def read(device):
        heard.append("clocks")
        return STEADY

    sides = dict.fromkeys(("base", "head"), Tree(Revision("main", "c0ffee", "", ""), ROOT, ROOT))
    workers = {side: Side(heard) for side in sides}
    subject = Subject("case", (spec("case"),), device, ("step_time",))
    processes = Processes(sides, workers, Length(blocks=2, block_seconds=0.01), read)
    turn = processes.turn(subject, 10, cores=[], imported={})
    work = ["clocks"] if idle else ["clocks", "block", "clocks"]
    last = [one for one in heard[heard.index("clocks") :] if one != "imports"]
    assert last == [*work, "block", "block", "block", "block", *work, "close", "close"]
    assert [len(turn.seconds[side]) for side in sides] == [2, 2]


def test_nothing_of_a_card_is_ever_set():
    sets = re.compile(r"nvmlDevice(Re)?[Ss]et[A-Z]|nvmlDeviceReset|nvmlDeviceClear|nvmlDeviceModify"
                      r"|nvidia-smi\W.*\s-(pm|pl|ac|rac|lgc|rgc|lmc|c|e|mig|r)\b")  # fmt: skip
    files = [*(ROOT / "bench").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
    files += (ROOT / ".github" / "workflows").glob("*.yml")
    found = [f"{file}: {line}" for file in files for line in file.read_text("utf-8").splitlines()
             if sets.search(line)]  # fmt: skip
    assert found == []
    nvml = Nvml(mig=1)
    told = cards(nvml)
    told.read("cuda:0"), told.policy("cuda:0")
    assert all("Get" in name or "Is" in name for name in nvml.asked)
