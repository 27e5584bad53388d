"""The few forms of PromQL that the dashboards are made of."""

from deploy.grafana.board import Variable

HERE = 'job=~"$job", instance=~"$instance"'
"""The processes that the reader chose."""

JOB = Variable("job", "Service", query="label_values(modstream_ready, job)")
INSTANCE = Variable("instance", "Process", query='label_values(modstream_ready{job=~"$job"}, instance)')


# Reasons for which a record is given up at once are left out.
TRIED_AGAIN = 'reason!~"(event|image|record)[.].*|policy.unknown|engine.poison|engine.rejected|outcome.too_large"'


def of(metric: str, *matchers: str) -> str:
    """Return the series of the chosen processes."""
    return f"{metric}{{{', '.join((HERE, *matchers))}}}"


def total(metric: str, *matchers: str, by: str = "") -> str:
    """Add a gauge up over processes."""
    return f"sum{_by(by)}({of(metric, *matchers)})"


def highest(metric: str, *matchers: str, by: str = "") -> str:
    """Return the largest value of a gauge among the processes."""
    return f"max{_by(by)}({of(metric, *matchers)})"


def rate(metric: str, *matchers: str, by: str = "", over: str = "$__rate_interval") -> str:
    """Return how much a counter grows a second."""
    return f"sum{_by(by)}(rate({of(metric, *matchers)}[{over}]))"


def grown(counter: str, *matchers: str, by: str = "", over: str = "10m") -> str:
    """Return by how much a counter grew."""
    return f"sum{_by(by)}(increase({of(counter, *matchers)}[{over}]))"


def quantile(share: float, histogram: str, *matchers: str, by: str = "") -> str:
    """Return the value that this share of observations does not exceed; `histogram` ends before `_bucket`."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', *matchers, by=labels)})"


def mean_since_start(histogram: str) -> str:
    """Return the mean of what is observed too seldom for a rate."""
    return f"{total(f'{histogram}_sum')} / {total(f'{histogram}_count')}"


def mean(histogram: str, *matchers: str, by: str = "") -> str:
    """Return the mean of a histogram's observations."""
    return f"{rate(f'{histogram}_sum', *matchers, by=by)} / {rate(f'{histogram}_count', *matchers, by=by)}"


def buckets(histogram: str, *matchers: str) -> str:
    """Return how many observations fell into each bucket, for a heatmap."""
    return f"sum by (le) (increase({of(f'{histogram}_bucket', *matchers)}[$__rate_interval]))"


def or_zero(expr: str) -> str:
    """Show 0 rather than no data where there is nothing."""
    return f"{expr} or vector(0)"


def met(expr: str) -> str:
    """Leave out what has not happened: counters begin at 0 for every reason that there is."""
    return or_zero(f"{expr} > 0")


def share(part: str, whole: str) -> str:
    """Divide, without a point where the whole is nothing."""
    return f"({part}) / ({whole} > 0)"


def share_of_all(part: str, whole: str) -> str:
    """Divide several series by one number, without a point where it is 0."""
    return f"({part}) / scalar({whole} > 0)"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
