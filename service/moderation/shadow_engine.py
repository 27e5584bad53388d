"""An engine on trial: it looks at a share of the images, after their verdicts and outside of their path."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import structlog

from schemas.shadow import LiveDecisionV1, ShadowDecisionV1, ShadowEngineV1
from schemas.verdict import VerdictV1
from service.core.errors import FatalError
from service.events.codec import encode_shadow
from service.inference.engine import Engine, EngineDescription
from service.inference.errors import EngineConfigurationError, EngineTimeoutError
from service.moderation.background import BackgroundImages, BackgroundLimits, is_chosen, judged_again, place_of
from service.moderation.calibrations import calibration_for
from service.moderation.engine_client import EngineClient
from service.moderation.recent_instructions import RecentInstructions
from service.moderation.shadow import Judgement, Publisher, count_decision, count_left_out, strays_as_errors
from service.policy.calibration import EngineCalibration
from service.policy.errors import CalibrationMismatchError
from service.settings.shadow import ShadowEngineSettings

log = structlog.get_logger(__name__)

NAME = "engine"
"""What its decisions are counted under."""

_PAUSE_S, _MAX_PAUSE_S = 30.0, 600.0
"""Until an engine that failed is opened again; twice as long after each failure."""

OpenEngine = Callable[[], AbstractAsyncContextManager[Engine]]
"""Starts the engine, and stops it at the end of the block."""


class ShadowEngine:
    """Has an engine judge the chosen images that find room, and decides on its scores with the live policy."""

    def __init__(
        self,
        open_engine: OpenEngine,
        settings: ShadowEngineSettings,
        *,
        publisher: Publisher | None,
        topic: str,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """`has_room` says whether the engine can take an image without delaying a live one.

        Without a publisher decisions are only counted and logged.
        """
        self._open_engine = open_engine
        self._settings = settings
        self._publisher = publisher
        self._topic = topic
        self._has_room = has_room
        limits = BackgroundLimits(settings.max_in_flight, settings.max_waiting, settings.max_bytes)
        self._images = BackgroundImages(limits, self._judge)
        self._engine: Engine | None = None
        self._prepared: RecentInstructions | None = None
        self._failure: asyncio.Future[None] | None = None
        self._warning: str | None = None
        self._running: asyncio.Task[None] | None = None

    def warnings(self) -> list[str]:
        """Return why the engine does not work, if it does not."""
        return [self._warning] if self._warning is not None else []

    def offer(self, judgement: Judgement) -> None:
        """Take in a chosen image if the engine works and there is room."""
        settings = self._settings
        if not is_chosen(judgement.verdict.image_id, share=settings.share, seed=settings.seed):
            return
        if self._engine is None:
            count_left_out("engine", "not_ready")
        elif not self._has_room():
            count_left_out("engine", "no_room")
        elif not self._images.take(judgement):
            count_left_out("engine", "queue_full")

    def drain(self) -> None:
        """Let `run` return at once; images in hand are left out."""
        if self._running is not None:
            self._running.cancel()

    async def run(self) -> None:
        """Keep the engine open and let it judge, until `drain`; after a failure it is opened again."""
        self._running = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            self._images.start(group, "shadow-engine")
            await self._keep_open()

    async def _keep_open(self) -> None:
        pause_s = _PAUSE_S
        while True:
            try:
                with strays_as_errors():
                    async with self._open_engine() as engine:
                        self._failure = asyncio.get_running_loop().create_future()
                        self._engine, self._warning, pause_s = engine, None, _PAUSE_S
                        self._prepared = RecentInstructions(engine)
                        log.info("shadow.engine_ready")
                        await self._failure
            except Exception as error:  # noqa: BLE001 - whatever fails, the trial pauses and the service goes on
                self._warning = "shadow.engine does not work: see shadow.engine_failed in the log"
                log.warning("shadow.engine_failed", error=error, again_in_s=pause_s)
            finally:
                if self._prepared is not None:
                    self._prepared.clear()
                self._engine = self._prepared = None
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    async def _judge(self, judgement: Judgement) -> None:
        """Judge one image; whatever fails is counted."""
        engine, prepared = self._engine, self._prepared
        if engine is None or prepared is None:
            count_left_out("engine", "not_ready")
            return
        try:
            with strays_as_errors():
                async with asyncio.timeout(self._settings.timeout_s):
                    verdict = await self._verdict(engine, prepared, judgement)
                await self._report(judgement, verdict)
        except (TimeoutError, EngineTimeoutError):
            count_left_out("engine", "timed_out")
        except Exception as error:  # noqa: BLE001 - a defect of the engine on trial concerns nothing else
            count_left_out("engine", "failed")
            log.warning("shadow.engine_image_failed", shadow=NAME, **place_of(judgement), error=error)
            if isinstance(error, FatalError) and self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)

    async def _verdict(self, engine: Engine, prepared: RecentInstructions, judgement: Judgement) -> VerdictV1:
        """Return what the live policy decides on the engine's scores."""
        policy = judgement.policy
        instructions = replace(policy.instructions, adapter=self._settings.adapter, first_pass=None)
        await prepared.prepare(instructions)
        client = EngineClient(engine, timeout_s=self._settings.timeout_s, goes_last=True)
        description = client.describe(instructions)
        if description.image_spec != judgement.image_spec:
            live, wanted = judgement.image_spec.max_pixels, description.image_spec.max_pixels
            detail = (
                f"images have up to {live} pixels here, and the engine would be given up to {wanted} live (policy "
                f"{policy.name}), so its decisions would say little: compare the two by 'modstream evaluate'"
            )
            raise EngineConfigurationError(setting="shadow.engine.kind", detail=detail)
        calibration = _calibration(judgement, description)
        return await judged_again(client, judgement, instructions, description=description, calibration=calibration)

    async def _report(self, judgement: Judgement, verdict: VerdictV1) -> None:
        live = judgement.verdict
        count_decision(NAME, live=live.decision, decision=verdict.decision)
        agrees = verdict.decision == live.decision
        if not agrees:
            log.info(
                "shadow.differs", shadow=NAME, **place_of(judgement), live=live.decision, decision=verdict.decision
            )
        if self._publisher is None:
            return
        message = ShadowDecisionV1(
            image_id=live.image_id,
            tenant=live.tenant,
            live=LiveDecisionV1.of(live),
            policies=(),
            engine=ShadowEngineV1(verdict=verdict, agrees=agrees),
            source=live.source,
            attempt=live.attempt,
            moderated_at=live.moderated_at,
        )
        await self._publisher.publish([encode_shadow(message, topic=self._topic, source=judgement.subject.record)])


def _calibration(judgement: Judgement, engine: EngineDescription) -> EngineCalibration | None:
    """Return the maps for the engine's own scores in the file by which the live ones are calibrated.

    Raises `EngineConfigurationError` without any: thresholds for calibrated scores say nothing about others.
    """
    try:
        return calibration_for(judgement.calibration, engine, judgement.policy.name)
    except CalibrationMismatchError as mismatch:
        detail = (
            "live scores are calibrated by this file, and it has no entry for the engine on trial: decisions would "
            f"say little: {mismatch.facts['detail']}. Calibrate it, and add its entry to the file's engines"
        )
        raise EngineConfigurationError(setting="policy.calibration", detail=detail) from mismatch
