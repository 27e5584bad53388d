"""The dashboard *Decisions*: decisions by category, policy and tenant, and changes since last week."""

from deploy.grafana.board import Board, Kind, Limit, Panel, Query, Row, Variable
from deploy.grafana.promql import HERE, INSTANCE, JOB, or_zero, rate, share_of_all

VERDICTS = "modstream_verdicts_total"
CHOSEN = ('policy=~"$policy"', 'tenant=~"$tenant"')
FLAGGED = 'decision=~"review|block"'

# Drift is computed over an hour: over less, chance variation looks like a change.
HOUR = "1h"


def _share_of(*matchers: str, by: str, ago: str = "") -> str:
    over = f"{HOUR}] offset {ago}" if ago else f"{HOUR}]"
    part = f"sum by ({by}) (rate({VERDICTS}{{{', '.join((HERE, *CHOSEN, *matchers))}}}[{over}))"
    whole = f"sum(rate({VERDICTS}{{{', '.join((HERE, *CHOSEN))}}}[{over}))"
    return share_of_all(part, whole)


def _change(*matchers: str, by: str) -> str:
    return f"{_share_of(*matchers, by=by)} - ({_share_of(*matchers, by=by, ago='7d')})"


NOW = Row(
    "Decisions now",
    (
        Panel(
            "Verdicts by decision",
            "Normal: mostly `allow`, in the daily rhythm of uploads. A jump of `review` or `block`: an attack, a new "
            "kind of upload, or a changed policy or model.",
            (Query(rate(VERDICTS, *CHOSEN, by="decision"), "{{decision}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Share by decision",
            "Over an hour. Normal: flat. It changes without a change of policy or model: compare the categories, then "
            "examine some images.",
            (Query(_share_of(by="decision"), "{{decision}}"),),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "Not moderated",
            "Share of verdicts that no model judged; their decision is the policy's precaution. Normal: 0, or all of "
            "them with the rehearsal engine. Runbook: ModstreamNotModerated.",
            (Query(or_zero(_share_of('status="not_moderated"', by="status")), "not moderated"),),
            unit="percentunit",
            limits=(Limit(0, "green"), Limit(0.01, "red")),
        ),
        Panel(
            "Review and block by deciding category",
            "Normal: as last week. One category rises alone: examine its newest images, then check its threshold in "
            "the policy.",
            (Query(rate(VERDICTS, *CHOSEN, FLAGGED, by="category"), "{{category}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Review and block by tenant",
            "Only tenants named in `monitoring.tenants` have a line of their own. One tenant rises alone: contact it.",
            (Query(rate(VERDICTS, *CHOSEN, FLAGGED, by="tenant"), "{{tenant}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Verdicts by policy",
            "Normal: as last week. A policy falls to 0: an uploader no longer names it in its events.",
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
            "Normal: the two lines of a decision lie on each other. Apart for hours: the uploads have changed, or the "
            "policy or the model. Runbook: ModstreamDecisionsDrift.",
            (
                Query(_share_of(FLAGGED, by="decision"), "{{decision}} now"),
                Query(_share_of(FLAGGED, by="decision", ago="7d"), "{{decision}} a week ago"),
            ),
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Change of a category's share against last week",
            "Percentage points of all verdicts. Normal: about 0. Examine the images of a category that differs.",
            (Query(_change(FLAGGED, by="category"), "{{category}}"),),
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Categories, last hour",
            "Share of all verdicts by deciding category. Sort by it to see the most frequent ones.",
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
    summary="Decisions by category, policy and tenant, and changes since last week.",
    variables=(
        JOB,
        INSTANCE,
        Variable("policy", "Policy", query=_values_of("policy")),
        Variable("tenant", "Tenant", query=_values_of("tenant")),
    ),
    rows=(NOW, DRIFT),
    since="now-24h",
)
