-- Makes wrk send bytes that were prepared for it, and print one exact line when it is done. One request stays static: wrk
-- then writes the same buffer again and again, and no Lua runs meanwhile. wrk.ts writes what this reads.

local requests = {}

local file = assert(io.open(os.getenv("MILLRACE_REQUESTS"), "rb"))
for bytes in file:read("*l"):gmatch("%d+") do
  requests[#requests + 1] = assert(file:read(tonumber(bytes)))
end
file:close()

if #requests == 1 then
  -- wrk asks this once, before it starts.
  wrk.format = function() return requests[1] end
else
  local last = 0
  function request()
    last = last % #requests + 1
    return requests[last]
  end
end

-- wrk adds requests to its latencies that it believes were not sent while others took long, without a word in its
-- documentation. Those of a closed loop are to be what was measured, so they are taken out again here, slowest first,
-- in the order that undoes what wrk's stats_correct does. Nil when what is left is not the requests that were answered:
-- another wrk, then, and its own percentiles have to do.
local function measured(summary, latency)
  local ffi = require "ffi"
  ffi.cdef "typedef struct { uint64_t count, limit, min, max, data[]; } millrace_stats;"
  local stats = ffi.cast("millrace_stats **", latency)[0]
  local min, max = tonumber(stats.min), tonumber(stats.max)
  if min ~= latency.min or max ~= latency.max or tonumber(stats.limit) <= max then return nil end
  local counts = ffi.new("double[?]", max + 1)
  for micros = min, max do counts[micros] = tonumber(stats.data[micros]) end
  local each = math.floor(summary.requests / tonumber(os.getenv("MILLRACE_CONNECTIONS")))
  if each > 0 then
    local expected = math.floor(summary.duration / each)
    for micros = max, expected * 2, -1 do
      local earlier = counts[micros] > 0 and micros - expected or 0
      while earlier > expected do
        counts[earlier] = counts[earlier] - counts[micros]
        earlier = earlier - expected
      end
    end
  end
  local total = 0
  for micros = min, max do
    if counts[micros] < 0 then return nil end
    total = total + counts[micros]
  end
  if total ~= summary.requests - summary.errors.timeout then return nil end
  return function(percentile)
    local rank, seen = percentile / 100 * total, 0
    for micros = min, max do
      seen = seen + counts[micros]
      if seen > 0 and seen >= rank then return micros end
    end
    return max
  end
end

local function percentiles(summary, latency)
  local sound, at = pcall(measured, summary, latency)
  local values = {}
  for word in os.getenv("MILLRACE_PERCENTILES"):gmatch("%S+") do
    local percentile = tonumber(word)
    local micros
    if sound and at then micros = at(percentile)
    elseif percentile == 0 then micros = latency.min
    elseif percentile == 100 then micros = latency.max
    else micros = latency:percentile(percentile) end
    values[#values + 1] = string.format("%.0f", micros)
  end
  return table.concat(values, ",")
end

function done(summary, latency)
  local errors = summary.errors
  -- Without an answer there is no latency, and wrk's least is the most that it can hold.
  local shown = summary.requests > errors.timeout and percentiles(summary, latency)
    or os.getenv("MILLRACE_PERCENTILES"):gsub("%S+", "0"):gsub(" ", ",")
  print(string.format(
    "millrace-bench requests=%.0f bytes=%.0f micros=%.0f connect=%.0f read=%.0f write=%.0f timeout=%.0f status=%.0f"
      .. " latency=%s",
    summary.requests, summary.bytes, summary.duration,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status, shown))
end
