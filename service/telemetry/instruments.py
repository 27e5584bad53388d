"""Every instrument, with its unit, its labels and what it measures; docs/metrics.md is written from this module.

Gauges are declared here and read by `service.monitoring`. No label holds an id, a host or a text of an event.
"""

from service.telemetry import labels
from service.telemetry.instrument_registry import InstrumentRegistry

_registry = InstrumentRegistry()
declarations, histograms, begin = _registry.declarations, _registry.histograms, _registry.begin
_counter, _histogram, _gauge = _registry.counter, _registry.histogram, _registry.gauge

RECORDS = _counter(
    "modstream.records",
    "{record}",
    "Records with a committed outcome; the reason is empty for judged ones",
    labels.OUTCOME,
    labels.REASON,
)
ATTEMPTS_FAILED = _counter(
    "modstream.attempts.failed",
    "{attempt}",
    "Attempts that failed, including those that another attempt followed",
    labels.REASON,
)
VERDICTS = _counter(
    "modstream.verdicts",
    "{verdict}",
    "Verdicts made; a verdict that is made again after a partition was lost counts again",
    labels.DECISION,
    labels.POLICY,
    labels.CATEGORY,
    labels.TENANT,
    labels.STATUS,
)
IMAGES_AMBIGUOUS = _counter(
    "modstream.images.ambiguous",
    "{image}",
    "Judged images with features that viewers may show otherwise",
    labels.FEATURE,
)
FIRST_PASS_IMAGES = _counter(
    "modstream.first_pass.images",
    "{image}",
    "Images of policies with a first pass: cleared by it, passed on to the full pass, or given the full pass alone "
    "because the first one was skipped or failed",
    labels.OUTCOME,
)
SHADOW_DECISIONS = _counter(
    "modstream.shadow.decisions",
    "{decision}",
    "Decisions of shadows beside the live ones; a shadow is name/version of a policy, or engine",
    labels.SHADOW,
    labels.LIVE,
    labels.DECISION,
    labels.AGREES,
)
SHADOW_LEFT_OUT = _counter(
    "modstream.shadow.left_out",
    "{image}",
    "Images that policies or the engine on trial did not decide about, and records of shadows that were lost; the "
    "reason is cleared, failed, no_room, not_published, not_ready, queue_full, stopped or timed_out",
    labels.PART,
    labels.REASON,
)
AUDITS = _counter(
    "modstream.audits",
    "{image}",
    "Allowed images that were judged again with a question for every category, by what the policy then decides",
    labels.POLICY,
    labels.DECISION,
)
AUDITS_LEFT_OUT = _counter(
    "modstream.audits.left_out",
    "{image}",
    "Images that were chosen for an audit and not audited, and records of audits that were lost (not_published); the "
    "reason is failed, no_room, not_published, queue_full, stopped or timed_out",
    labels.REASON,
)
REBALANCES = _counter("modstream.rebalances", "{rebalance}", "Assignments that the group gave to this process")
OFFSETS_LOST = _counter(
    "modstream.offsets.lost",
    "{partition}",
    "Partitions whose log contradicted the group's offset; the service continued as kafka.on_lost_offsets says",
    labels.CAUSE,
)
PRODUCER_REBUILDS = _counter(
    "modstream.producer.rebuilds",
    "{rebuild}",
    "Transactional producers that were replaced to learn the result of a commit",
)
FETCH_IO = _counter("modstream.fetch.io", "By", "Bytes of images that were fetched", labels.SCHEME)
DECODE_CRASHES = _counter(
    "modstream.decode.crashes",
    "{crash}",
    "Decoder processes that died while they decoded, or exceeded the time limit; each is replaced",
    labels.REASON,
)
ENGINE_TOKENS = _counter(
    "modstream.engine.tokens",
    "{token}",
    "Tokens of a language model; cached tokens are those of prompts that its prefix cache held",
    labels.KIND,
)
API_REQUESTS = _counter(
    "modstream.api.requests",
    "{request}",
    "Answered requests to the HTTP API; the reason is empty for those that did not fail",
    labels.ROUTE,
    labels.CODE,
    labels.REASON,
)
POLICY_RELOADS = _counter(
    "modstream.policy.reloads",
    "{reload}",
    "Changes of the policy files that were put in force, or refused; the reason is empty for those in force",
    labels.REASON,
)
LOG_DROPPED = _counter("modstream.log.dropped", "{line}", "Log lines left out under load, by event", labels.EVENT)

STAGE_DURATION = _histogram(
    "modstream.stage.duration",
    "s",
    "Time of one stage of one record: waiting in the window, fetching and so on",
    labels.STAGE,
    # From a decision, which takes microseconds, to engine.timeout_s.
    boundaries=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60),
)
UPLOAD_AGE = _histogram(
    "modstream.upload.age",
    "s",
    "Time from a record's Kafka timestamp to its committed outcome; in a retry topic the first timestamp counts",
    labels.OUTCOME,
    # What service levels are usually set at; then minutes and an hour, of a lag that is being worked off.
    boundaries=(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600),
)
_VIEWS = "Pictures that the engine was given of one image: frames, grounds and parts"
IMAGE_VIEWS = _histogram("modstream.image.views", "{view}", _VIEWS, boundaries=(1, 2, 4, 8, 16, 32))
COMMIT_DURATION = _histogram(
    "modstream.commit.duration",
    "s",
    "Time of one commit: a transaction, or with at_least_once the publishing and the storing of offsets",
    labels.RESULT,
    # From an idle broker on the same machine to commit.timeout_s.
    boundaries=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
REBALANCE_PAUSE = _histogram(
    "modstream.rebalance.pause",
    "s",
    "Time from the revocation of partitions to the first partition that is open again",
    # From a quiet group to kafka.rebalance_timeout_s.
    boundaries=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)
API_DURATION = _histogram(
    "modstream.api.duration",
    "s",
    "Time of a request to the HTTP API, from its head to the end of its answer",
    labels.ROUTE,
    # From an answer without an image to api.timeout_s.
    boundaries=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60),
)
FIRST_PASS_DURATION = _histogram(
    "modstream.first_pass.duration",
    "s",
    "Time of the first or the full pass over one picture, under policies with a first pass; waits in the engine count",
    labels.KIND,
    # As of a stage: from a small engine's answer to engine.timeout_s.
    boundaries=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60),
)
ENGINE_LABEL_MASS = _histogram(
    "modstream.engine.label_mass",
    "1",
    "Share of the probability of a language model's answer that fell on the labels",
    # engine.judging.min_label_mass is 0.5 by default; a model that fits its prompt stays close to 1.
    boundaries=(0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999),
)

API_IMAGES = _gauge(
    "modstream.api.images",
    "{image}",
    "Images of the HTTP API that are in work, and that wait for a place",
    labels.STATE,
)
API_ACCESS_WARNINGS = _gauge(
    "modstream.api.access_warnings",
    "{warning}",
    "Faults of the keys file or the identity provider, whose last state stays in force meanwhile; /health names them",
)
IN_FLIGHT = _gauge("modstream.in_flight", "{record}", "Records received and without outcomes yet")
WINDOW_OCCUPANCY = _gauge(
    "modstream.window.occupancy",
    "1",
    "Used share of the window, 0 to 1, by bound; for the span, of the partition that is nearest to the bound",
    labels.BOUND,
)
BACKLOG = _gauge(
    "modstream.backlog", "{record}", "Offsets on the broker that were not received yet", labels.TOPIC, labels.PARTITION
)
LAG = _gauge(
    "modstream.lag",
    "{record}",
    "Offsets without a committed outcome; offsets finished out of order do not count",
    labels.TOPIC,
    labels.PARTITION,
)
LAG_COMMITTED = _gauge(
    "modstream.lag.committed",
    "{record}",
    "Offsets above the committed one, as Kafka's own tools count them; higher than the lag",
    labels.TOPIC,
    labels.PARTITION,
)
UNSTABLE = _gauge(
    "modstream.unstable",
    "{record}",
    "Offsets that an open transaction of a producer holds back: no consumer of committed records can read them yet",
    labels.TOPIC,
    labels.PARTITION,
)
TRANSACTION_AGE = _gauge(
    "modstream.transaction.age",
    "s",
    "Time for which the oldest open transaction has held records back, 0 without one",
    labels.TOPIC,
    labels.PARTITION,
)
REFUSED_AGE = _gauge(
    "modstream.partition.refused.age",
    "s",
    "Time for which the brokers have denied reading a partition, 0 while it can be read",
    labels.TOPIC,
    labels.PARTITION,
)
PARTITIONS = _gauge("modstream.partitions", "{partition}", "Partitions that are assigned and open")
OLDEST_AGE = _gauge(
    "modstream.oldest.age", "s", "Age of the oldest record in flight, by its Kafka timestamp; 0 without any"
)
POLICY_INFO = _gauge(
    "modstream.policy.info",
    "1",
    "Always 1, for each policy in force; verdicts name the same version and hash",
    labels.POLICY,
    labels.VERSION,
    labels.HASH,
)
POLICY_AGE = _gauge("modstream.policy.age", "s", "Time since the policies in force were read")
POLICY_REFUSED = _gauge(
    "modstream.policy.refused",
    "1",
    "1 while the policy files cannot be used and the policies before them stay in force, else 0",
)
ENGINE_REQUESTS = _gauge(
    "modstream.engine.requests", "{request}", "Requests that the engine runs, and that wait in it", labels.STATE
)
ENGINE_REACHABLE = _gauge(
    "modstream.engine.reachable",
    "1",
    "1 while the engine can answer, 0 while no server of a remote engine works",
)
DECODE_QUEUE = _gauge("modstream.decode.queue", "{image}", "Images that wait for a decoder process")
DECODE_WORKERS = _gauge("modstream.decode.workers", "{process}", "Decoder processes at present")
DECODE_CONFINEMENT = _gauge(
    "modstream.decode.confinement",
    "1",
    "1 if the mechanism confines every decoder process, else 0",
    labels.MECHANISM,
)
GPU_MEMORY_USED = _gauge("modstream.gpu.memory.used", "By", "Memory of a GPU in use, by all programs", labels.GPU)
GPU_MEMORY_TOTAL = _gauge("modstream.gpu.memory.total", "By", "Memory of a GPU", labels.GPU)
GPU_TEMPERATURE = _gauge("modstream.gpu.temperature", "Cel", "Temperature of a GPU", labels.GPU)
GPU_UTILIZATION = _gauge(
    "modstream.gpu.utilization", "1", "Share of the last second or so in which a GPU computed, 0 to 1", labels.GPU
)
READY = _gauge("modstream.ready", "1", "1 when /health/ready says so, else 0")
INFO = _gauge(
    "modstream.info",
    "1",
    "Always 1; its labels name the version, the engine and the model",
    labels.VERSION,
    labels.ENGINE,
    labels.MODEL,
)
MACHINE_PRICE = _gauge(
    "modstream.machine.price",
    "1",
    "The setting monitoring.machine_price, an hour; absent when it is 0",
    labels.CURRENCY,
)
