"""Means of numbers over an epoch."""


class EpochMeans:
    """Running means of numbers by name; what a checkpoint holds of them goes on after a resume."""

    def __init__(self):
        self.sums, self.count = {}, 0

    def add(self, numbers, weight=1):
        """Count an iteration of `weight` micro-batches with the {name: mean over them} it gave."""
        self.count += weight
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value

    def values(self):
        """{name: mean} so far."""
        return {name: value / self.count for name, value in self.sums.items()}

    def state_dict(self):
        """As plain numbers."""
        return {"sums": dict(self.sums), "count": self.count}

    def load_state_dict(self, state):
        """Restore what `state_dict` gave."""
        self.sums, self.count = dict(state["sums"]), state["count"]
