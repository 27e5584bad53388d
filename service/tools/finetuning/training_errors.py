"""Why an adapter cannot be trained, measured or written."""

from service.core.errors import FatalError


class UnusableExampleError(FatalError):
    """A prepared example cannot be learnt."""

    reason = "finetune.unusable_example"
    message = "{image}: {detail}; prepare the data again with 'modstream finetune prepare'"


class TooManyQuestionsError(FatalError):
    """A split has more questions than are kept in memory."""

    reason = "finetune.too_many_questions"
    message = "The split {split} has more than {limit:,} questions: prepare fewer images"


class BaseModelError(FatalError):
    """A model cannot be trained."""

    reason = "finetune.base_model"
    message = "{model}: {detail}"


class TrainingMemoryError(FatalError):
    """The device has too little memory for the settings of the training."""

    reason = "finetune.out_of_memory"
    message = (
        "{device} has too little memory ({detail}): lower --tokens-a-pass, or --rank, or keep the weights in 4 bits "
        "with --quantize nf4; 'modstream finetune plan' calculates what fits"
    )


class TrainingDivergedError(FatalError):
    """The loss became no number."""

    reason = "finetune.diverged"
    message = (
        "The loss of step {step} is no number: lower --learning-rate (it is {rate:g}); the checkpoint of step "
        "{checkpoint} is whole"
    )


class OutputFolderError(FatalError):
    """The folder of an adapter cannot be used."""

    reason = "finetune.output_folder"
    message = "{folder}: {detail}"


class TooLittleDataError(FatalError):
    """A split has no examples."""

    reason = "finetune.too_little_data"
    message = "{folder}: the split {split} has no image: prepare more images with 'modstream finetune prepare'"


class OtherPolicyError(FatalError):
    """A policy asks other questions than an adapter was trained on."""

    reason = "finetune.other_policy"
    message = (
        "{file}: the adapter {adapter} was trained on the questions of the policy {policy} version {version}, and this "
        "one asks others: name that policy, or prepare and train again"
    )
