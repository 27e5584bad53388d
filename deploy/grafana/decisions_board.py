"""The dashboard *Decisions*: decisions by category, policy and tenant, and changes since last week."""

from deploy.grafana.board import Board, Kind, Limit, Panel, Query, Row, Variable
from deploy.grafana.promql import HERE, INSTANCE, JOB, grown, mean, of, or_zero, rate, share, share_of_all, total

VERDICTS = "modstream_verdicts_total"
CHOSEN = ('policy=~"$policy"', 'tenant=~"$tenant"')
SHADOW = "modstream_shadow_decisions_total"
AUDITS = "modstream_audits_total"
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


def _shadows(*matchers: str, by: str) -> str:
    return f"sum by ({by}) (rate({SHADOW}{{{', '.join((HERE, *matchers))}}}[{HOUR}]))"


def _audits(*matchers: str, by: str) -> str:
    return f"sum by ({by}) (rate({AUDITS}{{{', '.join((HERE, *matchers))}}}[1d]))"


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


FILES = Row(
    "What people see",
    (
        Panel(
            "Images that viewers may show differently",
            "By feature of the file. Normal: few, as last week. A feature rises: someone tries files that hide a "
            "picture, or a new program writes odd files. The policy's `ambiguous` decides about them.",
            (Query(rate("modstream_images_ambiguous_total", by="feature"), "{{feature}}"),),
            Kind.STACK,
            unit="reqps",
            width=12,
        ),
        Panel(
            "Pictures judged of an image",
            "Average over an hour. Normal: close to 1, more with animations, transparent and long pictures; each "
            "costs a judgement of the engine.",
            (Query(mean("modstream_image_views"), "pictures"),),
            width=12,
        ),
    ),
)

SHADOWS = Row(
    "On trial",
    (
        Panel(
            "Agreement of shadows with the live decisions",
            "Share of the images that each shadow looked at and decided as the live service did, over an hour. Empty "
            "without shadows. A shadow policy is named name/version, the shadow engine is `engine`.",
            (Query(share(_shadows('agrees="yes"', by="shadow"), _shadows(by="shadow")), "{{shadow}}"),),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "What shadows decide otherwise",
            "Live decision, then the shadow's. `review → allow` is work saved, or harm let through: look at such "
            "images in the topic of shadows.",
            (Query(_shadows('agrees="no"', by="shadow, live, decision"), "{{shadow}}: {{live}} → {{decision}}"),),
            unit="reqps",
        ),
        Panel(
            "What shadows left out",
            "Normal: 0 for policies. `queue_full`: policies need more than `shadow.loop_share` of the time, or the "
            "engine is slower than its share of images. `no_room`: the live engine was busy. `not_published`: see "
            "shadow.not_published in the log. Live verdicts are unaffected by all of these.",
            (Query(rate("modstream_shadow_left_out_total", by="part, reason"), "{{part}}: {{reason}}"),),
            Kind.STACK,
            unit="reqps",
        ),
    ),
)

AUDITED = Row(
    "Audits of allowed images",
    (
        Panel(
            "Share of audited images that would not have been allowed",
            "Over a day, by policy: what a question for every category finds in images that were allowed. Empty "
            "without `policy.audit_share`. Normal: flat. Runbook: ModstreamAuditsDrift.",
            (Query(share(_audits(FLAGGED, by="policy"), _audits(by="policy")), "{{policy}}"),),
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Audited images by decision, and those left out",
            "Audits run where the engine has room. `no_room` or `queue_full` for hours: the engine has none, and the "
            "estimates refuse days with too few audits. `not_published`: see shadow.not_published in the log.",
            (
                Query(rate(AUDITS, by="decision"), "{{decision}}"),
                Query(rate("modstream_audits_left_out_total", by="reason"), "left out: {{reason}}"),
            ),
            Kind.STACK,
            unit="reqps",
            width=12,
        ),
    ),
)

POLICIES = Row(
    "Policies in force",
    (
        Panel(
            "Processes by policy, version and hash",
            "Normal: one version and hash of each policy, in force in all processes. Two for minutes: some processes "
            "have not read the changed files, or refuse them. Verdicts name the same version and hash.",
            (
                Query(
                    f"count by (policy, version, hash) ({of('modstream_policy_info')})",
                    "{{policy}} {{version}} {{hash}}",
                ),
            ),
            Kind.TABLE,
            width=12,
        ),
        Panel(
            "Processes that refuse their policy files",
            "Normal: 0. More: the files have a mistake, or cannot be read; what was read before stays in force. "
            "Runbook: ModstreamPoliciesRefused.",
            (Query(total("modstream_policy_refused"), "refuse"),),
            width=4,
        ),
        Panel(
            "Changes of policies by result",
            "Changes in ten minutes, by the reason of their refusal; those without a reason are in force. A change "
            "that you do not expect: the log line `policy.reloaded` names the policies.",
            (Query(grown("modstream_policy_reloads_total", by="reason"), "{{reason}}"),),
            width=4,
        ),
        Panel(
            "Age of the policies in force",
            "Time since each process read its policies. Normal: the time since the last change, or since the start.",
            (Query(total("modstream_policy_age_seconds", by="instance"), "{{instance}}"),),
            unit="s",
            width=4,
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
    rows=(NOW, POLICIES, FILES, DRIFT, SHADOWS, AUDITED),
    since="now-24h",
)
