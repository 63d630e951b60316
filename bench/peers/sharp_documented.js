"use strict";
// sharp as its documentation and the npm package blurhash show it: one pipeline for each size, from the file.

const { encode } = require("blurhash");
const sharp = require("sharp");
const { WIDTHS, serve } = require("./protocol.js");

serve(async (buffer, { quality, effort }) => {
  const variant = async (width) => {
    const data = await sharp(buffer)
      .rotate()
      .resize({ width, withoutEnlargement: true })
      .webp({ quality, effort })
      .toBuffer();
    return [width, data];
  };
  const placeholder = async () => {
    const { data, info } = await sharp(buffer)
      .rotate()
      .resize(32, 32, { fit: "inside" })
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    return encode(new Uint8ClampedArray(data), info.width, info.height, 4, 3);
  };
  const [, ...variants] = await Promise.all([placeholder(), ...WIDTHS.map(variant)]);
  return variants;
});
