// `node server.mjs PORT DECODER`: nsfwjs behind express, one image per request as a form's field `image`.
//
// With DECODER `jpeg-js` it decodes as the example server in nsfwjs's README does. With `sharp` libvips decodes and shrinks the
// image in native threads, as an engineer would have it after a look at a profile. The model runs on TensorFlow.js's
// WebAssembly backend, which has one thread in Node.js.

import express from "express";
import jpeg from "jpeg-js";
import multer from "multer";
import * as nsfwjs from "nsfwjs";
import { createRequire } from "node:module";
import path from "node:path";
import sharp from "sharp";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

const SIDE = 224; // of the model's input

async function decodeByJpegJs(file) {
  const { width, height, data } = jpeg.decode(file, { useTArray: true });
  const pixels = new Int32Array(width * height * 3);
  for (let i = 0, j = 0; i < pixels.length; i += 3, j += 4) {
    pixels[i] = data[j];
    pixels[i + 1] = data[j + 1];
    pixels[i + 2] = data[j + 2];
  }
  return tf.tensor3d(pixels, [height, width, 3], "int32");
}

async function decodeBySharp(file) {
  const pixels = await sharp(file).resize(SIDE, SIDE, { fit: "fill" }).removeAlpha().raw().toBuffer();
  return tf.tensor3d(Int32Array.from(pixels), [SIDE, SIDE, 3], "int32");
}

const [port, decoder] = process.argv.slice(2);
const decode = decoder === "sharp" ? decodeBySharp : decodeByJpegJs;
const wasm = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
setWasmPaths(path.dirname(wasm) + path.sep);
sharp.concurrency(1);
tf.enableProdMode();
await tf.setBackend("wasm");
const model = await nsfwjs.load("MobileNetV2Mid");

const app = express();
app.get("/health", (_request, response) => response.json({ status: "ok", backend: tf.getBackend() }));
app.post("/nsfw", multer().single("image"), async (request, response) => {
  const image = await decode(request.file.buffer);
  const predictions = await model.classify(image);
  image.dispose();
  response.json(predictions);
});
app.listen(Number(port), "127.0.0.1");
