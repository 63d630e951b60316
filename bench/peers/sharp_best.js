"use strict";
// sharp at its fastest: one decode at the scale of the largest size, every size from the raw pixels of the next larger
// one, what would be the same file once, and each encoding begun as soon as its pixels are there.

const { encode } = require("blurhash");
const sharp = require("sharp");
const { WIDTHS, serve } = require("./protocol.js");

sharp.cache(false);
sharp.concurrency(1); // each picture on one thread: the others have pictures of their own

const raw = (pipeline) => pipeline.raw().toBuffer({ resolveWithObject: true });

function pixels({ data, info: { width, height, channels } }) {
  return sharp(data, { raw: { width, height, channels } });
}

serve(async (buffer, { quality, effort }) => {
  const widths = WIDTHS.toSorted((a, b) => b - a);
  let larger = await raw(sharp(buffer).rotate().resize({ width: widths[0], withoutEnlargement: true }));
  const encoded = new Map();
  const variants = [];
  for (const width of widths) {
    if (width < larger.info.width) larger = await raw(pixels(larger).resize({ width }));
    const size = larger.info.width;
    if (!encoded.has(size)) encoded.set(size, pixels(larger).webp({ quality, effort }).toBuffer());
    variants.push([width, encoded.get(size)]);
  }
  const { data, info } = await raw(pixels(larger).resize(32, 32, { fit: "inside" }).ensureAlpha());
  encode(new Uint8ClampedArray(data), info.width, info.height, 4, 3);
  return Promise.all(variants.map(async ([width, file]) => [width, await file]));
});
