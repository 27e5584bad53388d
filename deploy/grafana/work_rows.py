"""Rows of *Service* about the machine's work: engine, fetching and decoding, GPUs."""

from deploy.grafana.board import Kind, Limit, Panel, Query, Row
from deploy.grafana.promql import HERE, highest, met, quantile, rate, share, total

ENGINE = Row(
    "Engine",
    (
        Panel(
            "Requests in the engine",
            "Normal: some running, few waiting. Many waiting: the engine limits throughput (runbook "
            "ModstreamEngineSaturated). Few running while there is lag: images reach the engine too slowly (runbook "
            "ModstreamEngineIdle).",
            (Query(total("modstream_engine_requests", by="state"), "{{state}}"),),
            Kind.STACK,
        ),
        Panel(
            "Processes that reach their engine",
            "Normal: 100 %. Less: some processes reach no server of their remote engine. They take in no records, and "
            "resume by themselves when a server responds.",
            (
                Query(
                    f"sum(modstream_engine_reachable{{{HERE}}}) / count(modstream_engine_reachable{{{HERE}}})", "share"
                ),
            ),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "Tokens a second by kind",
            "Normal: `cached` far above `prompt`, because the policy's text is the same for all images. `cached` falls "
            "to 0: the prefix cache no longer holds that text. No data: this engine is no language model.",
            (Query(rate("modstream_engine_tokens_total", by="kind"), "{{kind}}"),),
        ),
        Panel(
            "Share of the answer that is a label",
            "Share of the answer's probability on the expected labels. Normal: p1 above 0.9. Falling: the model, "
            "adapter or policy text has changed. No data: this engine is no language model.",
            (
                Query(quantile(0.5, "modstream_engine_label_mass"), "p50"),
                Query(quantile(0.1, "modstream_engine_label_mass"), "p10"),
                Query(quantile(0.01, "modstream_engine_label_mass"), "p1"),
            ),
            unit="percentunit",
            top=1.0,
        ),
    ),
)

API = Row(
    "HTTP API",
    (
        Panel(
            "Requests a second by route",
            "Normal: as many as clients send. No data: the API is off (`api.port`).",
            (Query(rate("modstream_api_requests_total", by="route"), "{{route}}"),),
        ),
        Panel(
            "Failed requests a second by reason",
            "Normal: about 0. `api.busy`: too many images wait; start more processes, or raise `api.max_requests`. "
            "`access.…`: keys that are wrong, expired or too narrow. `image.…`: images that cannot be judged. "
            "Runbooks: ModstreamApiErrors, ModstreamApiBusy.",
            (Query(rate("modstream_api_requests_total", 'reason!=""', by="reason"), "{{reason}}"),),
        ),
        Panel(
            "Time of a request",
            "Normal: that of fetching, decoding and the engine. It grows while images wait for a place. "
            "Runbook: ModstreamApiSlow.",
            (
                Query(quantile(0.5, "modstream_api_duration_seconds"), "p50"),
                Query(quantile(0.99, "modstream_api_duration_seconds"), "p99"),
            ),
            unit="s",
        ),
        Panel(
            "Images in work and waiting",
            "Normal: none waits. Some always wait: the API is at its limit (`api.max_requests`), or the stream and the "
            "API share a busy engine (`api.share`).",
            (Query(total("modstream_api_images", by="state"), "{{state}}"),),
            Kind.STACK,
        ),
        Panel(
            "Faults of keys and tokens",
            "Normal: 0. More: the keys file or the identity provider cannot be read, and what was read before stays in "
            "force. Runbook: ModstreamApiKeysRefused.",
            (Query(highest("modstream_api_access_warnings", by="instance"), "{{instance}}"),),
        ),
    ),
)

FETCH_AND_DECODE = Row(
    "Fetching and decoding",
    (
        Panel(
            "Bytes fetched a second by scheme",
            "Normal: in proportion to the rate of images. It falls while `fetch` takes longer: the object store or the "
            "network to it is slow (runbook ModstreamFetchSlow).",
            (Query(rate("modstream_fetch_io_bytes_total", by="scheme"), "{{scheme}}"),),
            unit="Bps",
        ),
        Panel(
            "Decode pool",
            "Normal: about 0 images wait. A queue that stays: there are too few cores; raise `media.decode.workers`, "
            "or start processes on other machines.",
            (
                Query(total("modstream_decode_queue"), "images that wait"),
                Query(total("modstream_decode_workers"), "processes"),
            ),
        ),
        Panel(
            "Decoders lost by reason",
            "A file that crashes or hangs a decoder, or takes all its memory, ends that decoder only. Normal: 0. Many: "
            "an attack, or a broken uploader. Runbook: ModstreamDecodersCrash.",
            (Query(met(rate("modstream_decode_crashes_total", by="reason")), "{{reason}}"),),
            unit="reqps",
        ),
        Panel(
            "Confinement of decoders",
            "Normal: 1. At 0 the kernel of a machine lacks this mechanism, and a file that takes over its decoder can "
            "do more (SECURITY.md, *Decoders*).",
            (Query(f"min by (mechanism) (modstream_decode_confinement{{{HERE}}})", "{{mechanism}}"),),
        ),
    ),
)

GPU = Row(
    "GPU",
    (
        Panel(
            "Memory",
            "Normal: flat after the start, because vLLM takes its share at once. Rising: another program uses the GPU. "
            "Runbook: ModstreamGpuMemoryShort.",
            (
                Query(
                    share(
                        highest("modstream_gpu_memory_used_bytes", by="instance, gpu"),
                        highest("modstream_gpu_memory_total_bytes", by="instance, gpu"),
                    ),
                    "{{instance}} gpu {{gpu}}",
                ),
            ),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "Temperature",
            "Normal: under 85 °C. Above it the GPU slows down. Runbook: ModstreamGpuHot.",
            (Query(highest("modstream_gpu_temperature_celsius", by="instance, gpu"), "{{instance}} gpu {{gpu}}"),),
            unit="celsius",
            limits=(Limit(0, "green"), Limit(85, "red")),
        ),
        Panel(
            "Utilisation",
            "Normal: high while there is lag. Low with lag: images reach the engine too slowly (runbook "
            "ModstreamEngineIdle). Low without lag: the GPU is too large for the load, see the dashboard Cost.",
            (Query(highest("modstream_gpu_utilization", by="instance, gpu"), "{{instance}} gpu {{gpu}}"),),
            unit="percentunit",
            top=1.0,
        ),
    ),
)
