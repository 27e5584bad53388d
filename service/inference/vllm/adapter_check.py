"""Compares the card of an adapter's folder with the model and the questions that it is going to be used with."""

from pathlib import Path

from service.inference.adapter_card import TOWER_ARGUMENT, check_card, read_card
from service.inference.vision.token_model import ModelFacts
from service.settings.vllm import VllmSettings, adapter_name, adapter_path


class AdapterCheck:
    """Checks adapters of the settings before they are used. An adapter without a card passes."""

    def __init__(self, settings: VllmSettings) -> None:
        self._folders = {adapter_name(text): Path(adapter_path(text)) for text in settings.adapters}
        self._has_tower = bool(settings.engine_args.get(TOWER_ARGUMENT))

    def __call__(self, name: str, facts: ModelFacts, prompt_hash: str) -> None:
        """Raise `EngineConfigurationError` if an adapter was trained for another model or for other questions.

        Reads a file. An adapter that the settings do not name is left to the model, which refuses it.
        """
        folder = self._folders.get(name)
        card = read_card(folder) if folder is not None else None
        if card is not None:
            check_card(
                card,
                name,
                model=facts.name,
                revision=facts.revision,
                prompt_hash=prompt_hash,
                has_tower=self._has_tower,
            )
