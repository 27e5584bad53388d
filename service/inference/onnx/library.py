"""Imports onnxruntime with its reports to the vendor disabled; no other module imports it."""

import os

# Its wheels report sessions, models' names and the machine to their vendor, from import on, unless this is set before.
# Its function that turns reports off comes too late for the first of them. An operator's own value stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

__all__ = ["onnxruntime", "ort_errors"]
