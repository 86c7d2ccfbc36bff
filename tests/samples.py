"""Metrics as a scraper reads them."""

from prometheus_client.parser import text_string_to_metric_families


class Samples:
    def __init__(self, text: bytes) -> None:
        self.text = text.decode()
        families = list(text_string_to_metric_families(self.text))
        self.names = {sample.name for family in families for sample in family.samples}
        self._values = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """The value of one series; 0 if there is none."""
        return self._values.get((name, tuple(sorted(labels.items()))), 0)

    def by(self, label: str, name: str) -> dict[str, float]:
        """The series of a name that are not 0, by a label, added up over the others."""
        found: dict[str, float] = {}
        for (series, labels), value in self._values.items():
            if series == name and value:
                key = dict(labels)[label]
                found[key] = found.get(key, 0) + value
        return found
