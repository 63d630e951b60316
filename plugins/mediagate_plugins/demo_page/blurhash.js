// Paints a BlurHash (https://github.com/woltapp/blurhash/blob/master/Algorithm.md) on a canvas.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";
const SIDE = 32;

const number = (text) => [...text].reduce((value, digit) => value * 83 + DIGITS.indexOf(digit), 0);
const toLinear = (byte) => {
  const value = byte / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
};
const toByte = (linear) => {
  const value = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055));
};
const signedSquare = (value) => Math.sign(value) * value * value;

function waves(hash) {
  const size = number(hash[0]);
  const [across, down] = [(size % 9) + 1, Math.floor(size / 9) + 1];
  const strongest = (number(hash[1]) + 1) / 166;
  const average = number(hash.slice(2, 6));
  const colours = [[average >> 16, (average >> 8) & 255, average & 255].map(toLinear)];
  for (let at = 6; at < 4 + 2 * across * down; at += 2) {
    const value = number(hash.slice(at, at + 2));
    const parts = [Math.floor(value / 361), Math.floor(value / 19) % 19, value % 19];
    colours.push(parts.map((part) => signedSquare((part - 9) / 9) * strongest));
  }
  return { across, down, colours };
}

const isHash = (hash) => /^[0-9A-Za-z#$%*+,.:;=?@[\]^_{|}~-]{6,}$/.test(hash)
  && hash.length === 4 + 2 * ((number(hash[0]) % 9) + 1) * (Math.floor(number(hash[0]) / 9) + 1);

/** Paint the hash of a picture of this width and height; an invalid BlurHash leaves the canvas clear. */
export function paint(canvas, hash, pictureWidth, pictureHeight) {
  const scale = SIDE / Math.max(pictureWidth, pictureHeight);
  const width = canvas.width = Math.max(1, Math.round(pictureWidth * scale));
  const height = canvas.height = Math.max(1, Math.round(pictureHeight * scale));
  if (!isHash(hash)) return;
  const { across, down, colours } = waves(hash);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const sum = [0, 0, 0];
      for (let j = 0; j < down; j += 1) {
        for (let i = 0; i < across; i += 1) {
          const weight = Math.cos((Math.PI * x * i) / width) * Math.cos((Math.PI * y * j) / height);
          colours[j * across + i].forEach((part, channel) => { sum[channel] += part * weight; });
        }
      }
      image.data.set([...sum.map(toByte), 255], 4 * (y * width + x));
    }
  }
  context.putImageData(image, 0, 0);
}
