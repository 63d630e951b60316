"use strict";
// sharp as its documentation and the npm package blurhash show it: one pipeline for each size, from the file. An original
// has the settings of mediagate.

const { encode } = require("blurhash");
const sharp = require("sharp");
const { WIDTHS, serve } = require("./protocol.js");

const ORIGINALS = {
  jpeg: (picture) => picture.jpeg({ quality: 92, chromaSubsampling: "4:4:4" }),
  png: (picture) => picture.png({ compressionLevel: 2 }),
};

serve(async (buffer, { quality, effort, original }) => {
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
  const kept = async () => original && ORIGINALS[original](sharp(buffer).rotate()).toBuffer();
  const [, , ...variants] = await Promise.all([placeholder(), kept(), ...WIDTHS.map(variant)]);
  return variants;
});
