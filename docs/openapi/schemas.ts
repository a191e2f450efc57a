/**
 * The JSON Schemas of the HTTP API. The types of the wire (worker/wire-types.ts, wire-decisions.ts) give every object its
 * fields and sentences; the schemas that bodies are checked by give requests their bounds, defaults and what is refused.
 * Neither is written a second time.
 */
import { toJsonSchema, type ConversionConfig } from "@valibot/to-json-schema";
import { createGenerator } from "ts-json-schema-generator";
import * as v from "valibot";
import { strictObject } from "../../worker/check.ts";
import { decisionsBody } from "../../worker/decisions/openai.ts";
import { namedQuestion, systemOneBody } from "../../worker/decisions/systemone.ts";
import { embeddingsBody, IGNORED } from "../../worker/embeddings/request.ts";
import * as foreign from "../../worker/foreign-fields.ts";
import { BODIES } from "../../worker/openai.ts";
import { budgetEntries } from "../../worker/wire-budget.ts";
import { ROOT } from "../../test/imports.ts";

export type Schema = { readonly [key: string]: unknown };

/** Types of the wire that the document names, by the names it gives them. */
const NAMED = [
  "ChatBody",
  "TextBody",
  "EmbeddingsBody",
  "DecisionsBody",
  "SystemOneBody",
  "ChatObject",
  "TextObject",
  "ChunkObject",
  "TextChunkObject",
  "EmbeddingsObject",
  "DecisionsObject",
  "SystemOneObject",
  "ModelListObject",
  "ModelCardObject",
  "HealthObject",
  "ErrorObject",
] as const;

/** What bodies, and objects in them, are checked by. */
const CHECKED: Readonly<Record<string, v.GenericSchema>> = {
  ChatBody: BODIES.chat,
  TextBody: BODIES.text,
  EmbeddingsBody: embeddingsBody,
  DecisionsBody: decisionsBody,
  SystemOneBody: systemOneBody,
  NamedQuestionBody: namedQuestion,
  BudgetBody: strictObject(budgetEntries(undefined), "an object"),
};

/** Fields of other servers' requests that the bodies take, too. */
const FOREIGN: Readonly<Record<string, foreign.Foreign>> = {
  ChatBody: foreign.BODY,
  TextBody: foreign.BODY,
  EmbeddingsBody: { ignored: IGNORED, unsupported: {} },
  DecisionsBody: { ignored: new Set(), unsupported: {} },
};

/** All schemas by name, for `components.schemas`. */
export function schemas(): Record<string, Schema> {
  const generator = createGenerator({
    path: `${ROOT}worker/wire-{types,decisions}.ts`,
    tsconfig: `${ROOT}worker/tsconfig.json`,
    expose: "export",
    skipTypeCheck: true, // tsc checks it
    additionalProperties: true,
  });
  const written = Object.assign({}, ...NAMED.map((name) => generator.createSchema(name).definitions)) as Record<string, Schema>;
  const all = Object.entries(written).map(([name, schema]) => [name, withForeign(name, withChecks(name, schema))] as const);
  return sorted(JSON.parse(JSON.stringify(Object.fromEntries(all)).replaceAll("#/definitions/", "#/components/schemas/")));
}

function sorted(all: Record<string, Schema>): Record<string, Schema> {
  return Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function withChecks(name: string, schema: Schema): Schema {
  const checked = CHECKED[name];
  return checked === undefined ? schema : joined(converted(checked), schema);
}

/** The parts of a schema that hold other schemas. */
interface Parts {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
}

/**
 * What is checked, with the sentences of the type. Where a schema looks at a value by code alone, the type says all.
 * @param checked of valibot
 * @param typed of TypeScript
 */
function joined(checked: Schema, typed: Schema): Schema {
  if (isOpaque(checked)) return typed;
  if ("$ref" in typed) return Object.hasOwn(CHECKED, String(typed["$ref"]).replace("#/definitions/", "")) ? typed : checked;
  const { properties, anyOf, items } = checked as Parts;
  const { properties: known, anyOf: alike, items: each } = typed as Parts;
  return {
    ...checked,
    ...("description" in typed && { description: typed["description"] }),
    ...(anyOf !== undefined && anyOf.length === alike?.length && { anyOf: anyOf.map((one, i) => joined(one, alike[i]!)) }),
    ...(items && each && { items: joined(items, each) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [name, joined(property, known?.[name] ?? property)]),
      ),
    }),
  };
}

/** A schema that says nothing, or only that null will do. */
function isOpaque(schema: Schema): boolean {
  const { default: _default, anyOf, ...rest } = schema;
  return Object.keys(rest).length === 0 && (anyOf === undefined || (anyOf as Schema[]).some((each) => isOpaque(each)));
}

const CONVERSION: ConversionConfig = {
  target: "draft-2020-12",
  typeMode: "output", // of a pipe its last schema: an object behind the check that it is no list
  errorMode: "ignore",
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    const { type, options } = valibotSchema as v.GenericSchema & { readonly options?: readonly v.GenericSchema[] };
    if (type === "lazy" && options !== undefined) return { anyOf: options.map((option) => converted(option)) };
    return type === "strict_tuple" ? { ...jsonSchema, maxItems: jsonSchema.prefixItems!.length } : undefined;
  },
};

function converted(schema: v.GenericSchema): Schema {
  const { $schema: _which, $defs: _none, ...json } = toJsonSchema(schema, CONVERSION);
  return finite(json) as Schema;
}

/** JSON has no Infinity: a bound that is none is left out. */
function finite(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(finite);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== Infinity)
      .map(([key, each]) => [key, finite(each)]),
  );
}

/** A body takes its own fields, foreign ones that change nothing, and no others. */
function withForeign(name: string, schema: Schema): Schema {
  const foreign = FOREIGN[name];
  if (foreign === undefined) return schema;
  const own = schema["properties"] as Readonly<Record<string, Schema>>;
  const ignored = [...foreign.ignored].map((field) => [field, { description: "Is taken, and changes no answer." }] as const);
  const unsupported = Object.entries(foreign.unsupported).map(
    ([field, neutral]) => [field, { enum: [...neutral, null], description: "Not supported: no other value is taken." }] as const,
  );
  return { ...schema, properties: { ...own, ...Object.fromEntries([...ignored, ...unsupported]) }, additionalProperties: false };
}
