-- One connection per request: the proxy is asked to close, and wrk dials again. wrk's latency begins when the request
-- is written, so it leaves the dialing out; the CPU figures hold all of it.

require "result"

wrk.headers["Connection"] = "close"
