"""What a busy process answers at its metrics endpoint."""

STAGES = """\
modstream_stage_duration_seconds_bucket{{le="0.1",stage="fetch"}} {fast}
modstream_stage_duration_seconds_bucket{{le="1.0",stage="fetch"}} {all}
modstream_stage_duration_seconds_bucket{{le="+Inf",stage="fetch"}} {all}
modstream_stage_duration_seconds_count{{stage="fetch"}} {all}
modstream_stage_duration_seconds_sum{{stage="fetch"}} {fast}
modstream_stage_duration_seconds_bucket{{le="0.1",stage="engine"}} 0
modstream_stage_duration_seconds_bucket{{le="1.0",stage="engine"}} {all}
modstream_stage_duration_seconds_bucket{{le="+Inf",stage="engine"}} {all}
modstream_stage_duration_seconds_count{{stage="engine"}} {all}
modstream_stage_duration_seconds_sum{{stage="engine"}} {fast}
"""

GAUGES = """\
# HELP modstream_lag Offsets without a committed outcome
# TYPE modstream_lag gauge
modstream_lag{topic="images.uploaded",partition="0"} 40
modstream_lag{topic="images.uploaded",partition="1"} 1200
modstream_backlog{topic="images.uploaded",partition="0"} 0
modstream_backlog{topic="images.uploaded",partition="1"} 1100
modstream_lag_committed{topic="images.uploaded",partition="0"} 44
modstream_lag_committed{topic="images.uploaded",partition="1"} 1300
modstream_in_flight 140
modstream_oldest_age_seconds 61.5
modstream_window_occupancy{bound="records"} 1.0
modstream_window_occupancy{bound="bytes"} 0.25
modstream_window_occupancy{bound="span"} 0.01
modstream_engine_requests{state="running"} 64
modstream_engine_requests{state="waiting"} 12
modstream_decode_queue 3
modstream_decode_workers 2
modstream_partitions 2
modstream_ready 1
modstream_info{version="0.1.0",engine="rehearsal",model="rehearsal"} 1
modstream_gpu_memory_used_bytes{gpu="0"} 75161927680
modstream_gpu_memory_total_bytes{gpu="0"} 85899345920
modstream_gpu_temperature_celsius{gpu="0"} 61
modstream_gpu_utilization{gpu="0"} 0.97
"""


API = """\
modstream_api_images{{state="running"}} 5
modstream_api_images{{state="waiting"}} 1
modstream_api_requests_total{{route="/v1/verdicts",code="200",reason=""}} {answered}
modstream_api_requests_total{{route="/v1/verdicts",code="503",reason="engine.unavailable"}} {some}
modstream_api_requests_total{{route="/v1/verdicts",code="429",reason="api.busy"}} {some}
modstream_api_requests_total{{route="/health",code="200",reason=""}} {answered}
modstream_api_duration_seconds_bucket{{le="0.1",route="/v1/verdicts"}} {half}
modstream_api_duration_seconds_bucket{{le="1.0",route="/v1/verdicts"}} {answered}
modstream_api_duration_seconds_bucket{{le="+Inf",route="/v1/verdicts"}} {answered}
modstream_api_duration_seconds_count{{route="/v1/verdicts"}} {answered}
modstream_api_duration_seconds_bucket{{le="0.1",route="/health"}} {answered}
modstream_api_duration_seconds_bucket{{le="+Inf",route="/health"}} {answered}
modstream_api_duration_seconds_count{{route="/health"}} {answered}
modstream_decode_workers 2
modstream_ready 1
modstream_info{{version="0.1.0",engine="onnx",model="m"}} 1
"""


def api_scrape(*, answered: int) -> str:
    """Return the text of a process that serves the HTTP API alone; one request in ten fails, another is refused."""
    return API.format(answered=answered, half=answered // 2, some=answered // 10)


def scrape(*, judged: int, failed: int = 0) -> str:
    """Return the endpoint's text after so many images and failed attempts."""
    counters = (
        f'modstream_records_total{{outcome="judged",reason=""}} {judged}\n'
        f'modstream_records_total{{outcome="dead_lettered",reason="fetch.failed"}} {failed // 4}\n'
        f'modstream_attempts_failed_total{{reason="fetch.failed"}} {failed}\n'
        'modstream_attempts_failed_total{reason="engine.timeout"} 0\n'
        f'modstream_engine_tokens_total{{kind="prompt"}} {judged * 300}\n'
    )
    return counters + STAGES.format(fast=judged // 2, all=judged) + GAUGES
