-- POST of 1 MiB with Content-Length. Built once: wrk sends the same bytes each time, so no Lua runs per request.

require "result"

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("m", 1024 * 1024)
