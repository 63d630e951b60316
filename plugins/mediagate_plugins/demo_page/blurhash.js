// Paints a BlurHash (https://github.com/woltapp/blurhash/blob/master/Algorithm.md) on a canvas.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";
const SIZE = 32;

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

export function paint(canvas, hash) {
  const { across, down, colours } = waves(hash);
  canvas.width = canvas.height = SIZE;
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIZE, SIZE);
  for (let y = 0; y < SIZE; y += 1) {
    for (let x = 0; x < SIZE; x += 1) {
      const sum = [0, 0, 0];
      for (let j = 0; j < down; j += 1) {
        for (let i = 0; i < across; i += 1) {
          const weight = Math.cos((Math.PI * x * i) / SIZE) * Math.cos((Math.PI * y * j) / SIZE);
          colours[j * across + i].forEach((part, channel) => { sum[channel] += part * weight; });
        }
      }
      image.data.set([...sum.map(toByte), 255], 4 * (y * SIZE + x));
    }
  }
  context.putImageData(image, 0, 0);
}
