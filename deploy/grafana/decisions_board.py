"""*Decisions*: what is decided about whose images, and whether that has changed since last week."""

from deploy.grafana.board import Board, Kind, Limit, Panel, Query, Row, Variable
from deploy.grafana.promql import HERE, INSTANCE, JOB, or_zero, rate, share_of_all

VERDICTS = "modstream_verdicts_total"
CHOSEN = ('policy=~"$policy"', 'tenant=~"$tenant"')
FLAGGED = 'decision=~"review|block"'

# Drift is looked at over an hour: shorter, and chance is taken for change.
HOUR = "1h"


def _share_of(*matchers: str, by: str, ago: str = "") -> str:
    over = f"{HOUR}] offset {ago}" if ago else f"{HOUR}]"
    part = f"sum by ({by}) (rate({VERDICTS}{{{', '.join((HERE, *CHOSEN, *matchers))}}}[{over}))"
    whole = f"sum(rate({VERDICTS}{{{', '.join((HERE, *CHOSEN))}}}[{over}))"
    return share_of_all(part, whole)


def _change(*matchers: str, by: str) -> str:
    return f"{_share_of(*matchers, by=by)} - ({_share_of(*matchers, by=by, ago='7d')})"


NOW = Row(
    "What is decided",
    (
        Panel(
            "Verdicts by decision",
            "Normal: mostly `allow`, in the daily rhythm of uploads. A jump of `review` or `block` is an attack, a new "
            "kind of uploads, or a changed policy or model.",
            (Query(rate(VERDICTS, *CHOSEN, by="decision"), "{{decision}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Share by decision",
            "Over an hour. Normal: flat. It moves without a change of policy or model: look at the categories, then "
            "at some images.",
            (Query(_share_of(by="decision"), "{{decision}}"),),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "Not moderated",
            "Verdicts that no model stands behind: the decision is a precaution. Normal: 0, or all of them with the "
            "rehearsal engine. Runbook: ModstreamNotModerated.",
            (Query(or_zero(_share_of('status="not_moderated"', by="status")), "not moderated"),),
            unit="percentunit",
            limits=(Limit(0, "green"), Limit(0.01, "red")),
        ),
        Panel(
            "Review and block by deciding category",
            "Normal: your own mix. One category that rises alone: look at its newest images, then at its threshold "
            "in the policy.",
            (Query(rate(VERDICTS, *CHOSEN, FLAGGED, by="category"), "{{category}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Review and block by tenant",
            "Only tenants named in `monitoring.tenants` have a line of their own. One that rises alone has a problem "
            "of its own.",
            (Query(rate(VERDICTS, *CHOSEN, FLAGGED, by="tenant"), "{{tenant}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Verdicts by policy",
            "Normal: as your uploaders name them. A policy that falls to 0: an uploader stopped naming it.",
            (Query(rate(VERDICTS, *CHOSEN, by="policy"), "{{policy}}"),),
            Kind.STACK,
            unit="reqps",
        ),
    ),
)

DRIFT = Row(
    "Against last week",
    (
        Panel(
            "Share of review and block, now and a week ago",
            "Normal: the two lines lie on each other. Apart for hours: what is uploaded has changed, or what judges "
            "it has. Runbook: ModstreamDecisionsDrift.",
            (
                Query(_share_of(FLAGGED, by="decision"), "{{decision}} now"),
                Query(_share_of(FLAGGED, by="decision", ago="7d"), "{{decision}} a week ago"),
            ),
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Change of a category's share against last week",
            "Percentage points of all verdicts. Normal: about 0. The line that is away from it names what to look at.",
            (Query(_change(FLAGGED, by="category"), "{{category}}"),),
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Categories, last hour",
            "Share of all verdicts that rest on a category. Sort by it to see what most work is about.",
            (Query(_share_of(by="category, decision"), "{{category}} {{decision}}"),),
            Kind.TABLE,
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Tenants, last hour",
            "Share of all verdicts by tenant and decision.",
            (Query(_share_of(by="tenant, decision"), "{{tenant}} {{decision}}"),),
            Kind.TABLE,
            unit="percentunit",
            width=12,
        ),
    ),
)


def _values_of(label: str) -> str:
    return f'label_values({VERDICTS}{{job=~"$job"}}, {label})'


DECISIONS = Board(
    uid="modstream-decisions",
    title="modstream: Decisions",
    summary="What is decided by category, policy and tenant, and what has changed since last week.",
    variables=(
        JOB,
        INSTANCE,
        Variable("policy", "Policy", query=_values_of("policy")),
        Variable("tenant", "Tenant", query=_values_of("tenant")),
    ),
    rows=(NOW, DRIFT),
    since="now-24h",
)
