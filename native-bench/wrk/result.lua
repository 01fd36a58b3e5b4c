-- What every script shares: when wrk is done it prints one exact line beside its own rounded text. load.ts reads it.

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    "millrace-bench requests=%.0f bytes=%.0f micros=%.0f p50=%.0f p99=%.0f"
      .. " connect=%.0f read=%.0f write=%.0f timeout=%.0f status=%.0f",
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
