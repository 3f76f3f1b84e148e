"""The series that probes say beforehand that they will have: what claims are held against."""

import pytest
import torch
from suite_text import suite_of
from test_probes_training import PROBES, SUITE

from bench.plan import expand
from bench.probes.distances import Distances
from bench.probes.vanishing_gradient import VanishingGradient

DISTANCES = Distances(shifts=(1.0,), steps=2, batch_size=8, held_out=20, widths=(4,))
VANISHING = VanishingGradient(steps=2, checkpoints=2, held_out=20, widths=(4,))


@pytest.mark.parametrize(
    ("probe", "named"),
    [*((probe, True) for probe in (*PROBES, VANISHING)), (VANISHING, False), (DISTANCES, False)],
    ids=lambda value: type(value).__name__,
)
def test_series_are_those_of_the_rows(tmp_path, probe, named):
    specs = {spec.variant: spec for spec in expand(suite_of(tmp_path, SUITE))} if named else {}
    rows = probe.run(specs, 0, torch.device("cpu"))
    for quantity in probe.quantities:
        found = {row.series for row in rows if row.quantity == quantity}
        said = probe.series(quantity, tuple(specs))
        assert said is None if quantity == "layer_gradient" else set(said) == found
