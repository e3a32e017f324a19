// A list from an exported model: node onnx_list.mjs DIR "Alien (1979)=5" "Brazil (1985)=3.5" …
// Needs onnxruntime-web (`npm install` in this folder); in a page, fetch the two files instead.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [folder, ...rated] = process.argv.slice(2);
const known = JSON.parse(readFileSync(`${folder}/items.json`, "utf8"));
const titles = known.titles ?? known.items.map(() => null);
const position = new Map();
for (const names of [titles, known.items]) names.forEach((name, at) => name && position.set(name, at));

const history = rated.map((rating) => {
  const end = rating.lastIndexOf("=");
  return { item: position.get(rating.slice(0, end)), rating: Number(rating.slice(end + 1)) };
});
const shape = [1, history.length];

ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(`${folder}/model.onnx`));
const { predicted, scores } = await session.run({
  items: new ort.Tensor("int64", BigInt64Array.from(history, ({ item }) => BigInt(item)), shape),
  ratings: new ort.Tensor("float32", Float32Array.from(history, ({ rating }) => rating), shape),
  mask: new ort.Tensor("float32", new Float32Array(history.length).fill(1), shape),
});

const seen = new Set(history.map(({ item }) => item)); // what is rated is no news
const list = [...scores.data.keys()].filter((at) => !seen.has(at)).sort((a, b) => scores.data[b] - scores.data[a]);
for (const at of list.slice(0, 10)) {
  console.log(`${predicted.data[at].toFixed(2)}  ${known.items[at]}  ${titles[at] ?? ""}`.trimEnd());
}
