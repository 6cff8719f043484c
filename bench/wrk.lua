-- One line for bench/load.sh: requests/s, p50 and p99 in milliseconds, requests, and errors, of which
-- the statuses of 400 and above.
done = function(summary, latency)
   local seconds = summary.duration / 1e6
   local e = summary.errors
   io.write(string.format("RESULT %.0f %.3f %.3f %d %d %d\n", summary.requests / seconds,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.requests,
      e.connect + e.read + e.write + e.timeout, e.status))
end
