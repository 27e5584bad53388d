"""What can go wrong between a reference and checked pixels. URLs are never part of a message: they may be signed."""

from service.core.errors import FatalError, RejectedError, TransientError


class ImageReferenceError(RejectedError):
    """The reference itself cannot be used."""

    reason = "image.reference_invalid"
    message = "The image reference cannot be used: {detail}"


class SchemeNotAllowedError(RejectedError):
    """The scheme is unknown, or the operator has not opened it."""

    reason = "image.scheme_not_allowed"
    blame = "uploader"
    message = "References by {scheme} are not allowed{hint}"


class AddressNotAllowedError(RejectedError):
    """The reference leads to an address that may not be contacted."""

    reason = "image.address_not_allowed"
    blame = "uploader"
    message = "{host} may not be contacted (media.fetch.allow_hosts, allow_networks)"


class ImageNotFoundError(RejectedError):
    """There is no such image, or no right to read it."""

    reason = "image.not_found"
    blame = "uploader"
    message = "The image is not there: {detail}"


class ImageTooLargeError(RejectedError):
    """The encoded file is too large."""

    reason = "image.too_large"
    message = "The image has more than {limit_bytes} bytes (media.fetch.max_bytes)"


class TooManyRedirectsError(RejectedError):
    """The server redirects too often."""

    reason = "image.too_many_redirects"
    message = "More than {limit} redirects (media.fetch.max_redirects)"


class FetchTimeoutError(TransientError):
    """The image did not arrive in time."""

    reason = "fetch.timeout"
    blame = "uploader"
    message = "The image did not arrive in time: {detail}"


class FetchFailedError(TransientError):
    """The image host or the network to it failed."""

    reason = "fetch.failed"
    blame = "uploader"
    message = "The image could not be fetched: {detail}"

    @property
    def retry_after_s(self) -> float:
        """Seconds in the server's Retry-After; 0 without one."""
        seconds = self.facts.get("retry_after_s")
        return seconds if isinstance(seconds, float) else 0.0


class HostCircuitOpenError(TransientError):
    """The host failed repeatedly and gets no requests for a while; single fetches probe whether it works again."""

    reason = "fetch.circuit_open"
    blame = "uploader"
    message = "{host} is not asked for {retry_in_s} s: it failed {failures} times in a row, the last for {last_failure}"

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next probe of the host."""
        return float(str(self.facts["retry_in_s"]))

    @property
    def may_wait_here(self) -> bool:
        """Whether few enough records already wait for the host, so that this one may wait as well."""
        return not self.facts["is_crowded"]


class FetchCrowdedError(TransientError):
    """Too many images of a tenant wait while none of its images arrives."""

    reason = "fetch.crowded"
    blame = "uploader"
    message = "{waiting} images of this tenant wait already, and the last {failures} that were fetched failed"
    may_wait_here = False


class UnsupportedFormatError(RejectedError):
    """The content is no image of an allowed format."""

    reason = "image.unsupported_format"
    message = "The content is no image of a supported format: {detail}"


class ImageCorruptError(RejectedError):
    """The file starts as an image and cannot be read to its end."""

    reason = "image.corrupt"
    message = "The image cannot be decoded: {detail}"


class TooManyPixelsError(RejectedError):
    """The image would take too much memory: a decompression bomb, or simply too large."""

    reason = "image.too_many_pixels"
    message = (
        "{width} × {height} pixels in {frames} frames exceed {limit_pixels} (media.decode.max_pixels, memory_bytes)"
    )


class TooComplexError(RejectedError):
    """The file has far more parts than a picture needs, so that decoding it would take long."""

    reason = "image.too_complex"
    message = "The file has more than {limit} {parts}, which no picture needs"


class AspectRatioError(RejectedError):
    """One side is so much longer than the other that the reduced image would show nothing."""

    reason = "image.aspect_ratio"
    message = "{width} x {height} is more elongated than {limit}:1"


class DecodeCrashedError(RejectedError):
    """The file crashed two decoders by faults of their own, one after the other; the pool replaced them."""

    reason = "image.decode_crashed"
    message = "The image crashed its decoder ({detail})"


class DecodeMemoryError(RejectedError):
    """The file took all the memory that a decoder has; the pool replaced the process."""

    reason = "image.decode_memory"
    message = "Decoding took more than {limit_bytes} bytes (media.decode.memory_bytes)"


class DecodeTimeoutError(RejectedError):
    """The file kept its decoder busy for too long; the pool replaced the process."""

    reason = "image.decode_timeout"
    blame = "uploader"
    message = "Decoding took more than {limit_s} s (media.decode.timeout_s)"


class DecodeOomKilledError(RejectedError):
    """The kernel's OOM killer ended the decoder twice, the second time while no other decoder worked."""

    reason = "image.decode_oom_killed"
    blame = "uploader"
    message = "The system has too little memory to decode the image (the container's limit, media.decode.memory_bytes)"


class DecoderKilledError(TransientError):
    """Decoders were killed from outside while they worked on the file: whether the file is at fault is unknown."""

    reason = "decode.killed"
    message = "The image's decoders were killed from outside ({detail})"


class DecoderStalledError(TransientError):
    """The decoder hardly ran until the time limit: the machine is overloaded, or the process was stopped."""

    reason = "decode.stalled"
    blame = "uploader"
    message = "The decoder had {cpu_s} s on a processor in {limit_s} s (media.decode.timeout_s)"


class DecoderUnavailableError(FatalError):
    """No decoder process can be started; the image is not at fault."""

    reason = "decode.unavailable"
    message = "No decoder process starts: {detail}"
