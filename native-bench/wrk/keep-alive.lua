-- GET after GET on connections that stay open: wrk's own default, plus the exact result line.

require "result"
