// From the JSON Schema of an operation or a preset to the fields of a form.

import { label } from "./words.js";

const SLIDER_SPAN = 1000;
const LONG_TEXT = 500;
const COLOUR = /#(rgb|rrggbb|[0-9a-f]{6})\b/i;
const UNITS = [[/^pixels|in pixels/, "px"], [/percent|^of each edge/, "%"], [/megapixels|^millions of pixels/, "MP"]];

function resolved(schema, root) {
  const path = /^#\/(.+)$/.exec(schema.$ref ?? "")?.[1];
  if (!path) return schema;
  const found = path.split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
  return { ...found, ...schema, $ref: undefined };
}

/** The schema without its alternative `null`, which means a value that is not set. */
function plain(schema, root) {
  const { anyOf, oneOf, allOf, ...rest } = resolved(schema, root);
  const options = (anyOf ?? oneOf ?? allOf ?? []).filter(({ type }) => type !== "null");
  return options.length === 1 ? { ...plain(options[0], root), ...rest } : rest;
}

function kindOf(name, schema, inputs) {
  if (inputs.includes(name)) return "picture";
  if (schema.enum || "const" in schema) return "choice";
  if (schema.type === "boolean") return "switch";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type !== "string") return "json";
  if (schema.format === "color" || COLOUR.test(`${schema.default} ${schema.description}`)) return "colour";
  return (schema.maxLength ?? 0) > LONG_TEXT ? "long" : "text";
}

function unitOf(name, schema) {
  if (schema.unit) return schema.unit;
  if (/degrees$/.test(name)) return "°";
  if (/bytes$/.test(name)) return "bytes";
  return UNITS.find(([words]) => words.test(schema.description ?? ""))?.[1] ?? "";
}

/** The limits in words, unless the description tells them. */
function rangeOf({ minimum, exclusiveMinimum }, high, description) {
  const limit = high ?? minimum ?? exclusiveMinimum;
  if (limit === undefined || description.replaceAll(",", "").includes(String(limit))) return "";
  const written = (number) => number.toLocaleString("en");
  if (minimum !== undefined && high !== undefined) return `${written(minimum)} to ${written(high)}`;
  const told = [["at least", minimum], ["more than", exclusiveMinimum], ["at most", high]];
  return told.filter(([, number]) => number !== undefined).map(([words, number]) => `${words} ${written(number)}`).join(", ");
}

function fieldOf(name, property, root, inputs, needs) {
  const schema = plain(property, root);
  const [low, high] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
  const description = schema.description ?? "";
  const whole = schema.type === "integer";
  const span = high - low;
  return {
    name,
    label: label(name),
    kind: kindOf(name, schema, inputs),
    required: root.required?.includes(name) ?? false,
    initial: schema.default ?? undefined,
    options: schema.enum ?? ("const" in schema ? [schema.const] : []),
    low,
    high,
    whole,
    unit: whole || schema.type === "number" ? unitOf(name, schema) : "",
    slides: typeof schema.default === "number" && span > 0 && span <= SLIDER_SPAN,
    notch: whole ? 1 : 10 ** Math.min(0, Math.floor(Math.log10(span)) - 2),
    longest: schema.maxLength,
    hint: [description, rangeOf(schema, high, description)].filter(Boolean).join(", "),
    missing: needs && !needs.available ? needs.install : "",
  };
}

/** The fields of an object's properties; `inputs` are those that name a picture, `needs` the extras of some of them. */
export function fieldsOf(schema, inputs = [], needs = {}) {
  const properties = Object.entries(schema.properties ?? {});
  return properties.map(([name, property]) => fieldOf(name, property, schema, inputs, needs[name]));
}
