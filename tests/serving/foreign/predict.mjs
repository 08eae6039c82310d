// Asks the server as a Node program does: predict.mjs NODE_MODULES PROTOSET HOST:PORT
// and a request in JSON on standard input; prints the answer, or code and text, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [modules, protoset, target] = process.argv.slice(2);
const require = createRequire(path.resolve(modules, "here.js"));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadFileDescriptorSetFromBuffer(readFileSync(protoset), {
  keepCase: true,
  longs: Number,
});
const { PredictionService } = grpc.loadPackageDefinition(definition).tensorflow.serving;
const client = new PredictionService(target, grpc.credentials.createInsecure());
const { model_spec, shape, content } = JSON.parse(readFileSync(0));
const slices = {
  dtype: "DT_UINT8",
  tensor_shape: { dim: shape.map((size) => ({ size })) },
  tensor_content: Buffer.from(content, "base64"),
};
// Maps of a descriptor set are lists of their entries.
const request = { model_spec, inputs: [{ key: "slices", value: slices }] };
client.Predict(request, (error, answer) => {
  console.log(JSON.stringify(error ? { code: error.code, text: error.details } : answer));
  client.close();
});
