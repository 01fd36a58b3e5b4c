# Varnish as a layer 7 reverse proxy without a cache, doing the work that Millrace does by default: the same forwarding
# headers. X-Forwarded-For it adds by itself.
vcl 4.1;

backend origin {
  .host = "127.0.0.1";
  .port = "@ORIGIN_PORT@";
}

sub vcl_recv {
  set req.http.X-Forwarded-Proto = "http";
  set req.http.X-Forwarded-Host = req.http.Host;
  set req.http.X-Request-Id = req.xid;
  set req.http.Via = "1.1 varnish";
  return (pass);
}
