-- load.lua - what wrk sends for scripts/bench, and the one line that it prints about it.
--
--   wrk ... -s load.lua URL -- METHOD KEYS BODY [THINK_MS]
--
-- THINK_MS is the mean of the pauses of a connection between an answer and the next request, spread evenly between half and one and
-- a half of it; without it there are none.
-- Every thread goes round all keys, each from a place of its own; the requests are made before the clock starts.
-- The line: bench REQUESTS MICROSECONDS P50_US P99_US NOT_2XX_OR_3XX SOCKET_ERRORS

local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init(args)
    local method, body = args[1], args[3]
    local headers = {}

    keys = tonumber(args[2])
    if method == "PUT" then
        headers["Content-Type"] = "application/json"
    else
        body = nil
    end
    requests = {}
    for i = 0, keys - 1 do
        requests[i] = wrk.format(method, string.format("/v1/bench/key-%06d", i), headers, body)
    end
    at = number * 1009 % keys
    if args[4] then
        think(tonumber(args[4]))
    end
end

function think(mean)
    math.randomseed(number + 1)
    function delay()
        return mean / 2 + math.random() * mean
    end
end

function request()
    at = (at + 1) % keys
    return requests[at]
end

function done(summary, latency, _)
    local e = summary.errors

    print(string.format("bench %d %d %.0f %.0f %d %d", summary.requests, summary.duration, latency:percentile(50),
        latency:percentile(99), e.status, e.connect + e.read + e.write + e.timeout))
end
