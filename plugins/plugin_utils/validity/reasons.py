"""The words for why a run may not be believed, and the remarks that leave it as it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..benchmarks import BENCHMARKS

_GENERAL: Mapping[str, str] = MappingProxyType(
    {
        # Nothing was measured.
        "unreachable": "The controller could not reach a host.",
        "module_failed": "The program on a host under test failed before it could measure.",
        "interrupted": "The run was stopped from outside before its end.",
        "not_run": "The run was planned and has not been executed.",
        "no_end": "One of the two ends returned nothing.",
        "refused": "The client was refused, or found nobody listening.",
        "busy": "The server was already running a test for somebody else.",
        "port_taken": "The server's port was taken by another process.",
        "address_in_use": "The benchmark could not listen because another process did.",
        "server_not_listening": "The server did not listen within its limit.",
        "server_not_ready": "The server end said that it could not start the run.",
        "server_died": "The server ended before it listened.",
        "peer_lost": "The other end went away, or did not answer within its limit.",
        "control_changed": "Somebody on the network changed, repeated or left out what the two ends said to each other.",
        "control_port": "The two ends could not open the connection on which they meet.",
        "host_busy": "Another sweep is measuring on the host.",
        "host_rebooted": "The host was restarted after it had been looked at.",
        "disk_full": "A host has too little room for the outputs of a run.",
        "host_error": "The operating system of a host refused something the run needs.",
        "mtu_not_set": "The MTU that the run asks for could not be set, did not stay, or could not be put back.",
        "cpus_not_set": "The benchmark could not be pinned to the CPUs that the host names.",
        "tool_missing": "The benchmark is not installed.",
        "no_output": "The benchmark printed nothing.",
        "bad_option": "The benchmark does not know an option, or refuses its value.",
        "address_missing": "The address is not on the host, or has no route.",
        "no_messages": "The client received no message from the server.",
        "malformed_reply": "What a host returned is not what it was asked for.",
        "no_answer": "A host did not answer within the time that the plan allows.",
        "process_stopped": "A process of the run was stopped from outside (SIGSTOP) and did not come back in time.",
        "process_killed": "A process of the run was killed from outside, or by the kernel for lack of memory.",
        "output_too_large": "A program printed more than is kept of one run.",
        "unrecognised": "The output is of none of the tools this project reads.",
        # Something was measured, and cannot be believed.
        "malformed": "The record, or the output in it, is not what it should be.",
        "tool_error": "The benchmark reported an error.",
        "truncated": "The output stops before its end.",
        "timed_out": "The run was ended by its time limit.",
        "port_not_released": "The server's port was still held after the server was stopped.",
        "short_run": "The run measured for less time than was asked for.",
        "long_run": "The run measured for more time than was asked for.",
        "no_data": "No data arrived, or the receiver's figure is missing.",
        "missing_streams": "The number of streams is not what was asked for.",
        "peer": "The client was connected to another address or port than planned.",
        "parameters": "The benchmark ran with other parameters than planned.",
        "duplicate_keys": "A JSON key appears twice with different values, so figures are lost.",
        "message_lost": "A message was lost or reordered, which ends or falsifies a ping-pong silently.",
        "no_observations": "There is no valid observation.",
        "ends_disagree": "The two ends do not agree on what was transferred.",
        "server_unconfirmed": "The server's output does not prove that it was the one that answered.",
        "out_of_bounds": "A figure is beyond what any network carries or any run can measure.",
        "streams_disagree": "The rows of the streams are not as many as the streams, or do not add up to their sum.",
        "several_runs": "One output holds more than one run.",
        "wrong_tool": "The output is of another tool than planned.",
        "gate_error": "The record could not be judged because of a fault in this program.",
        # Of traces only.
        "vmm_not_traced": "The process that carries a guest could not be counted on its hypervisor.",
        "lost_events": "The tracer lost events, so its counts are too low.",
        "tracer_killed": "The tracer was ended before it printed its counts.",
        "map_full": "The tracer's map was full, so calls are missing.",
        "tracer_error": "The tracer reported an error.",
        "histogram": "The trace holds a histogram, which has no counts per call.",
    }
)
REASONS: Mapping[str, str] = MappingProxyType(
    {**_GENERAL, **{word: text for benchmark in BENCHMARKS.values() for word, text in benchmark.reasons.items()}}
)
"""Every reason a run can be invalid or failed for, and what it means; some are those of one benchmark."""
CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "trace_mismatch": "The system-call counts cannot belong to the run beside them.",
        "trace_lost": "The tracer lost calls; its counts are not given.",
        "trace_missing": "The run was traced but the tracer left nothing, as after a kill.",
        "tracing_unavailable": "This host cannot trace; the run went on untraced.",
        "vmm_untraced": "The process that carries a guest was not counted; the figures of the run do not depend on it.",
        "messages_lost": "Messages the client sent did not all reach the server.",
        "trace_partial": "The counts lack calls that a process always makes between exec and exit.",
        "stalled": "No data moved for a while inside the run, as when a link goes down and comes back.",
        "clock_set": "The clock of a host was set during the run; durations are taken from another clock.",
        "two_records": "Another record of this run has the same attempt and other content.",
        "tool_note": "The tool printed a warning.",
        "source_note": "Something in hand-kept notes does not fit together.",
    }
)
"""Remarks that do not change a run's status."""
NEVER_MEASURED = frozenset(
    {
        "unreachable", "module_failed", "interrupted", "not_run", "no_end", "peer_lost", "control_port", "control_changed",
        "host_busy", "host_rebooted", "disk_full", "host_error", "malformed_reply", "no_answer", "process_stopped",
        "process_killed", "output_too_large", "tracer_killed", "tracer_error",
    }
)  # fmt: skip
"""Reasons for which a run is ``failed`` whatever was printed until then: another try may well go better."""
CLOSING_WORDS = frozenset({"peer_lost", "interrupted"})
"""What an end says that did not hear the other end's closing word. A run that was whole on both ends stays so."""
CONSEQUENCES: Mapping[str, int] = MappingProxyType({"no_answer": 1, "peer_lost": 2, "server_not_ready": 2})
"""What is said of the other end, in the order in which it is believed where nobody says what went wrong on their own."""
