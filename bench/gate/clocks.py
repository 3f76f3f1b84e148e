"""A GPU's clocks, temperature, power and what holds its clocks back: read, and never set.

NVML tells, NVIDIA's management library (`nvidia-ml-py`, whose module is `pynvml`); what it does not
tell, or where it is not there, is null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from bench.records import Clocks

MOVED = 0.03
"""Relative change of a clock from which on it has moved.

A clock that changes within a turn moves the ratio of the two sides by as much at most: when the
median block of the one lies before the change, and that of the other after it.  3 % stays below the
default margin, and is four steps of 15 MHz at 2 GHz, more than a clock wanders as the card warms.
"""
_PREFIXES = ("nvmlClocksEventReason", "nvmlClocksThrottleReason")
"""What NVML calls its reasons, and what it called them before driver 535; the rest is the same."""
_HOLDING = {
    "SwPowerCap": "software power cap",
    "HwSlowdown": "hardware slowdown",
    "SwThermalSlowdown": "software thermal slowdown",
    "HwThermalSlowdown": "hardware thermal slowdown",
    "HwPowerBrakeSlowdown": "power brake",
    "BoardLimit": "board limit",
    "Reliability": "reliability limit",
}
"""Reasons that come and go by themselves, in words."""
_SETTINGS = ("GpuIdle", "ApplicationsClocksSetting", "SyncBoost", "DisplayClockSetting")
"""Reasons that are no event: nothing to do, or what somebody has set."""
_UNKNOWN = "not told"


def read(device: str) -> Clocks:
    """A device now; nothing of a CPU."""
    cards = _cards() if device.startswith("cuda") else None
    return cards.read(device) if cards else Clocks()


def moved(before: Clocks, after: Clocks) -> str | None:
    """What the clocks did in between, if more than they should; None if they stood still.

    A reason counts when it appears: one that was there before held both sides back alike, and one
    that goes shows in the clock.
    """
    return ", ".join(_changes(before, after)) or None


def policy(device: str) -> str:
    """How a device's clocks are governed: what a stored time must share with a new one."""
    cards = _cards() if device.startswith("cuda") else None
    return cards.policy(device) if cards else _UNKNOWN


def _changes(before: Clocks, after: Clocks) -> Iterator[str]:
    clocks = {
        "SM clock": (before.sm_mhz, after.sm_mhz),
        "memory clock": (before.memory_mhz, after.memory_mhz),
    }
    for name, (then, now) in clocks.items():
        if then and now and abs(now / then - 1) > MOVED:
            yield f"{name} {then} → {now} MHz"
    appeared = _named(after) - _named(before)
    yield from (words for name, words in _HOLDING.items() if name in appeared)


def _named(clocks: Clocks) -> set[str]:
    return set((clocks.throttle or "").split(", "))


class Cards:
    """The GPUs of this machine, by the names that torch gives them."""

    def __init__(self, nvml: Any, properties: Callable[[str], Any]) -> None:
        """`nvml`: the module, initialised; `properties`: as `torch.cuda.get_device_properties`."""
        self._nvml, self._properties = nvml, properties
        self._found: dict[str, tuple[Any, bool]] = {}

    def read(self, device: str) -> Clocks:
        """A GPU now."""
        card, _ = self._card(device)
        power = self._ask("nvmlDeviceGetPowerUsage", card)
        return Clocks(
            sm_mhz=self._ask("nvmlDeviceGetClockInfo", card, self._nvml.NVML_CLOCK_SM),
            memory_mhz=self._ask("nvmlDeviceGetClockInfo", card, self._nvml.NVML_CLOCK_MEM),
            temperature_c=self._ask(
                "nvmlDeviceGetTemperature", card, self._nvml.NVML_TEMPERATURE_GPU
            ),
            power_w=None if power is None else power / 1e3,
            throttle=self._throttle(card),
        )

    def policy(self, device: str) -> str:
        """What is set, as far as NVML tells (clocks locked by `nvidia-smi -lgc` it does not)."""
        card, parted = self._card(device)
        return ", ".join(self._settings(card, parted)) or _UNKNOWN

    def _settings(self, card: Any, parted: bool) -> Iterator[str]:
        if parted:
            yield "a MIG part of a card whose clocks all parts share"
        limit = self._ask("nvmlDeviceGetPowerManagementLimit", card)
        if limit is not None:
            yield f"power limit {limit / 1e3:.0f} W"
        kinds = (self._nvml.NVML_CLOCK_SM, self._nvml.NVML_CLOCK_MEM)
        clocks = [self._ask("nvmlDeviceGetApplicationsClock", card, kind) for kind in kinds]
        if None not in clocks:
            yield "application clocks {} and {} MHz".format(*clocks)
        persistence = self._ask("nvmlDeviceGetPersistenceMode", card)
        if persistence is not None:
            yield f"persistence {'on' if persistence else 'off'}"

    def _throttle(self, card: Any) -> str | None:
        """NVML's names of the reasons; a bit that has none here as a number."""
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons", card)
        if bits is None:
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", card)
        if bits is None:
            return None
        names = []
        for name in (*_SETTINGS, *_HOLDING):
            if bits & (bit := self._bit(name)):
                names.append(name)
                bits &= ~bit
        return ", ".join([*names, hex(bits)] if bits else names)

    def _bit(self, name: str) -> int:
        bits = (getattr(self._nvml, f"{prefix}{name}", 0) for prefix in _PREFIXES)
        return next((bit for bit in bits if bit), 0)

    def _card(self, device: str) -> tuple[Any, bool]:
        """NVML's handle of the card, None where it has none; and whether only a part of it is ours.

        NVML counts the GPUs by their place on the bus, and torch as CUDA_VISIBLE_DEVICES and
        CUDA_DEVICE_ORDER say, so a card is known by its UUID, else by its place.
        """
        if device not in self._found:
            self._found[device] = self._find(self._properties(device))
        return self._found[device]

    def _find(self, properties: Any) -> tuple[Any, bool]:
        card = self._handle(properties)
        if self._ask("nvmlDeviceIsMigDeviceHandle", card):
            return self._ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", card), True
        mode = self._ask("nvmlDeviceGetMigMode", card)
        return card, mode is not None and mode[0] == self._nvml.NVML_DEVICE_MIG_ENABLE

    def _handle(self, properties: Any) -> Any:
        for kind in ("GPU", "MIG"):
            card = self._ask("nvmlDeviceGetHandleByUUID", f"{kind}-{properties.uuid}")
            if card is not None:
                return card
        names = ("pci_domain_id", "pci_bus_id", "pci_device_id")
        place = [int(getattr(properties, name, -1)) for name in names]
        if min(place) < 0:  # torch does not tell everywhere
            return None
        told = "{:08x}:{:02x}:{:02x}.0".format(*place)
        return self._ask("nvmlDeviceGetHandleByPciBusId", told)

    def _ask(self, question: str, *about: Any) -> Any:
        """NVML's answer; None where the module, the driver or the card does not know one."""
        function = getattr(self._nvml, question, None)
        if function is None or about[0] is None:
            return None
        try:
            return function(*about)
        except self._nvml.NVMLError:
            return None


@cache
def _cards() -> Cards | None:
    """None where there is no NVML; it stays open, since opening it anew can take a second."""
    try:
        import pynvml
    except ImportError:  # an environment older than this dependency
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    import torch

    return Cards(pynvml, torch.cuda.get_device_properties)
