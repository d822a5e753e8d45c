-- wrk -s serve.lua URL -- MODEL IMAGES CHANNELS HEIGHT WIDTH: posts a binary tensor of pixels again and again, and prints
-- images a second, median and 99th percentile of the time to an answer, and what went wrong.
local images = 1

function init(args)
  images = tonumber(args[2])
  local shape = table.concat({images, args[3], args[4], args[5]}, ",")
  local bytes = images * args[3] * args[4] * args[5]
  local head = string.format(
    '{"inputs":[{"name":"input","datatype":"UINT8","shape":[%s],"parameters":{"binary_data_size":%d}}],' ..
    '"parameters":{"binary_data_output":true}}', shape, bytes)
  wrk.method = "POST"
  wrk.path = "/v2/models/" .. args[1] .. "/infer"
  wrk.headers["Inference-Header-Content-Length"] = #head
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.body = head .. string.rep("\127", bytes)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("%9.0f images/s   median %7.2f ms   p99 %7.2f ms   failed %d\n",
    images * summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
