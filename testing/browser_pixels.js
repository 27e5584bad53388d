// What the browser shows of image files, reduced to averages of a few cells, on a white and on a black ground.
"use strict";

const LONGEST_LOAD_MS = 20000;
const ANIMATED = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46]],
];

function animatedType(bytes) {
  const text = String.fromCharCode(...bytes.subarray(4, 64));
  if (text.startsWith("ftyp") && text.includes("avi")) return "image/avif";
  return ANIMATED.find(([, mark]) => mark.every((byte, index) => bytes[index] === byte))?.[0];
}

function loaded(url) {
  return new Promise((resolve) => {
    const image = new Image();
    const timer = setTimeout(() => resolve(null), LONGEST_LOAD_MS);
    const end = (found) => () => (clearTimeout(timer), resolve(found));
    image.onload = end(image);
    image.onerror = end(null);
    image.src = url;
  });
}

// Returns averages of the picture's cells, as base64 of RGB bytes.
function averages(source, width, height, ground, side) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { colorSpace: "srgb", willReadFrequently: true });
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  const columns = Math.min(side, width);
  const rows = Math.min(side, height);
  const cells = new Uint8Array(columns * rows * 3);
  for (let row = 0, at = 0; row < rows; row++) {
    const [top, bottom] = [Math.floor((height * row) / rows), Math.floor((height * (row + 1)) / rows)];
    for (let column = 0; column < columns; column++) {
      const [left, right] = [Math.floor((width * column) / columns), Math.floor((width * (column + 1)) / columns)];
      const sums = [0, 0, 0];
      for (let y = top; y < bottom; y++) {
        for (let x = left, from = 4 * (y * width + left); x < right; x++, from += 4) {
          sums[0] += pixels[from];
          sums[1] += pixels[from + 1];
          sums[2] += pixels[from + 2];
        }
      }
      for (const sum of sums) cells[at++] = Math.round(sum / ((bottom - top) * (right - left)));
    }
  }
  return cells.toBase64();
}

function drawn(source, width, height, side, shownMs) {
  const [onWhite, onBlack] = ["#fff", "#000"].map((ground) => averages(source, width, height, ground, side));
  return { onWhite, onBlack, shownMs, columns: Math.min(side, width), rows: Math.min(side, height) };
}

// Returns the frames of an animation, or nothing if the file is a still picture.
async function animation(bytes, width, height, side, maxFrames) {
  const type = animatedType(bytes);
  if (type === undefined) return null;
  let decoder;
  try {
    decoder = new ImageDecoder({ data: bytes, type, preferAnimation: true });
    await decoder.tracks.ready;
    await decoder.completed;
    const track = decoder.tracks.selectedTrack;
    if (!track.animated && track.frameCount < 2) return null;
    const frames = [];
    for (let frameIndex = 0; frameIndex < Math.min(track.frameCount, maxFrames); frameIndex++) {
      const { image } = await decoder.decode({ frameIndex }).catch(() => ({ image: null }));
      if (image === null) break; // the page shows the frames before a broken one
      const statedMs = (image.duration ?? 0) / 1000;
      // Pages show a frame of at most 10 ms for 100 ms; the decoder returns what the file says.
      frames.push(drawn(image, width, height, side, statedMs <= 10 ? 100 : statedMs));
      image.close();
    }
    return frames.length ? { frames, repeats: track.repetitionCount === Infinity } : null;
  } catch {
    return null;
  } finally {
    decoder?.close();
  }
}

async function show(text, side, maxFrames) {
  const bytes = Uint8Array.fromBase64(text);
  const url = URL.createObjectURL(new Blob([bytes]));
  try {
    const image = await loaded(url);
    const [width, height] = [image?.naturalWidth ?? 0, image?.naturalHeight ?? 0];
    if (width === 0 || height === 0) return { width: 0, height: 0, frames: [], repeats: false };
    const moving = await animation(bytes, width, height, side, maxFrames);
    const still = () => ({ frames: [drawn(image, width, height, side, null)], repeats: false });
    return { width, height, ...(moving ?? still()) };
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function showAll(texts, side, maxFrames) {
  const shown = [];
  for (const text of texts) shown.push(await show(text, side, maxFrames));
  return JSON.stringify(shown);
}
