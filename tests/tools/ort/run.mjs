// Runs an ONNX classifier in ONNX Runtime on the CPU.
//   node run.mjs MODEL.onnx INPUT.f32 N C H W OUTPUT.f32 [BATCH] [OPTIMIZATION]
// INPUT.f32 holds N * C * H * W little-endian float32 values, OUTPUT.f32 gets N rows of logits. OPTIMIZATION is
// "all" (ONNX Runtime's integer kernels) or "disabled" (each node as the file has it).
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import ort from 'onnxruntime-node';

const [model, inputPath, n, c, h, w, outputPath, batch = '100', optimization = 'all'] = process.argv.slice(2);
const [images, ...dims] = [n, c, h, w].map(Number);
if (!outputPath || ![images, ...dims, Number(batch)].every((x) => Number.isInteger(x) && x > 0)) {
  console.error('usage: node run.mjs MODEL.onnx INPUT.f32 N C H W OUTPUT.f32 [BATCH] [all|disabled]');
  process.exit(2);
}

const bytes = readFileSync(inputPath);
const elements = dims.reduce((a, b) => a * b, 1);
if (bytes.length !== images * elements * 4) {
  console.error(`${inputPath}: expected ${images * elements * 4} bytes, got ${bytes.length}`);
  process.exit(3);
}
const input = new Float32Array(bytes.buffer, bytes.byteOffset, images * elements);

const session = await ort.InferenceSession.create(model, {
  executionProviders: ['cpu'],
  graphOptimizationLevel: optimization,
  intraOpNumThreads: 2,
  logSeverityLevel: 3,
  // Without VNNI, ONNX Runtime's u8 x s8 kernels saturate pairs of products at int16; this asks for exact ones.
  extra: { session: { x64quantprecision: '1' } },
});

const rows = [];
for (let start = 0; start < images; start += Number(batch)) {
  const count = Math.min(Number(batch), images - start);
  const data = input.subarray(start * elements, (start + count) * elements);
  const results = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', data, [count, ...dims]) });
  rows.push(results[session.outputNames[0]].data);
}
const logits = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
let offset = 0;
for (const row of rows) {
  logits.set(row, offset);
  offset += row.length;
}
writeFileSync(`${outputPath}.part`, new Uint8Array(logits.buffer));
renameSync(`${outputPath}.part`, outputPath);
