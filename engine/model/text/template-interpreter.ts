/**
 * Runs a chat template as @huggingface/jinja does, with two things added. It is bounded: steps, depth, and the size of
 * every text and list, foreseen where one operation could outgrow memory. And what callers wrote stays marked
 * (guarded-text.ts): where a template looks at it or changes it, the operation sees the text behind the marks and its
 * result is marked again. Not here: which template, and with what variables (template.ts).
 */
import { Interpreter, type Environment } from "@huggingface/jinja";
import { guard, isGuarded, reveal } from "./guarded-text.ts";
import { pythonText } from "./python-text.ts";
import type { TemplateSteps } from "./template-steps.ts";
import {
  given,
  isContainer,
  isText,
  items,
  mark,
  occurrences,
  plain,
  plainWithin,
  spreadValues,
  STATEMENTS,
  strip,
  textValue,
  toValue,
  WHITESPACE,
  type Node,
  type Value,
} from "./template-values.ts";

interface LibraryInterpreter {
  evaluate(node: Node | undefined, scope: Environment): Value;
  evaluateBlock(nodes: readonly Node[], scope: Environment): Value;
  run(program: unknown): Value;
}
const LibraryInterpreter = Interpreter as unknown as new (scope: Environment) => LibraryInterpreter;

const DEEPEST = 200;
/** UTF-16 units of a text, two for each of a caller's; and the weight of a list, everything in it counted. */
const LONGEST = 1 << 22;
const MOST_ITEMS = 50_000;
const ITEM_WEIGHT = 16;
/** Texts and numbers that say how wide to indent or how to separate. */
const WIDEST = 64;

/** Operators that put values together without looking at them. */
const COMBINES = new Set(["and", "or", "+", "~"]);
/** Filters that give back what they were given. */
const KEEPS = new Set(["safe", "default", "join"]);
/** What raise_exception(message) throws: the template's word to the caller. */
export class RaisedByTemplate extends Error {}

export class TemplateInterpreter extends LibraryInterpreter {
  readonly #steps: TemplateSteps;
  #depth = 0;
  readonly #weights = new WeakMap<Value, number>();

  /** @param steps a step is an expression or a statement; long texts and lists count for more */
  constructor(scope: Environment, steps: TemplateSteps) {
    super(scope);
    this.#steps = steps;
  }

  override evaluate(node: Node | undefined, scope: Environment): Value {
    if (node === undefined) return super.evaluate(node, scope);
    if (node.type === "Given") return node["value"];
    if (++this.#depth > DEEPEST) throw new Error(`more than ${DEEPEST} expressions, loops or macros inside one another`);
    try {
      const value = this.#evaluate(node, scope);
      this.#account(node, value);
      return value;
    } finally {
      this.#depth--;
    }
  }

  override evaluateBlock(nodes: readonly Node[], scope: Environment): Value {
    let text = "";
    for (const node of nodes) {
      const value = this.evaluate(node, scope);
      if (isText(value)) text += value.value;
      else if (!STATEMENTS.has(node.type)) text += this.#written(value);
      this.#fits(text.length);
    }
    return textValue(text);
  }

  #evaluate(node: Node, scope: Environment): Value {
    switch (node.type) {
      case "BinaryExpression":
        if (node["operator"].value === "~") return this.#join(node, scope);
        return COMBINES.has(node["operator"].value) ? this.#native(node, scope) : this.#compare(node, scope);
      case "TestExpression":
        return this.#native({ ...node, operand: given(plain(this.evaluate(node["operand"], scope))) }, scope);
      case "FilterStatement": {
        const operand = { type: "Program", body: node["body"] };
        return this.#filter({ type: "FilterExpression", operand, filter: node["filter"] }, scope);
      }
      case "FilterExpression":
        return this.#filter(node, scope);
      case "CallExpression":
        return this.#call(node, scope);
      case "MemberExpression":
        return this.#member(node, scope);
      case "For":
        return this.#loop(node, scope);
      case "Method":
        return this.#native({ ...node, type: "MemberExpression" }, scope);
      default:
        return this.#native(node, scope);
    }
  }

  #native(node: Node, scope: Environment): Value {
    return super.evaluate(node, scope);
  }

  /** A value as Python writes it, marked where any of it is a caller's. */
  #written(value: Value): string {
    if (isText(value)) return value.value;
    const shown = this.#plainWithin(value);
    return shown === value ? pythonText(value) : guard(pythonText(shown));
  }

  /** a ~ b */
  #join(node: Node, scope: Environment): Value {
    const [left, right] = [node["left"], node["right"]].map((side) => this.#written(this.evaluate(side, scope)));
    return textValue(left! + right!);
  }

  #loop(node: Node, scope: Environment): Value {
    const over: Node = node["iterable"];
    const isFiltered = over.type === "SelectExpression";
    const list = this.evaluate(isFiltered ? over["lhs"] : over, scope);
    this.#stepThrough(list);
    return this.#native({ ...node, iterable: isFiltered ? { ...over, lhs: given(list) } : given(list) }, scope);
  }

  #compare(node: Node, scope: Environment): Value {
    const [left, right] = [node["left"], node["right"]].map((side) => plain(this.evaluate(side, scope)));
    const operator: string = node["operator"].value;
    this.#stepThrough(right!);
    // the library compares a list with a text by writing the list out
    if ((operator === "==" || operator === "!=") && isContainer(left!) !== isContainer(right!)) return toValue(operator === "!=");
    return this.#native({ ...node, left: given(left!), right: given(right!) }, scope);
  }

  #filter(node: Node, scope: Environment): Value {
    const operand = this.evaluate(node["operand"], scope);
    const call: Node = node["filter"];
    this.#stepThrough(operand);
    const name: string = call.type === "CallExpression" ? call["callee"].value : call["value"];
    if (isText(operand) && name === "trim") return textValue(strip(operand.value, WHITESPACE, true, true));
    if (name === "string") return textValue(this.#written(operand));
    const writes = name === "tojson";
    const looks = writes || (isText(operand) && !KEEPS.has(name));
    const { args, marked } = looks || name === "join" ? this.#arguments(call["args"] ?? [], scope, looks) : { args: [], marked: false };
    this.#foresee(name, operand, args);
    if (!looks) return this.#native({ ...node, operand: given(operand) }, scope);
    const shown = writes ? this.#plainWithin(operand) : plain(operand);
    const filter = call.type === "CallExpression" ? { ...call, args } : call;
    const value = this.#native({ ...node, operand: given(shown), filter }, scope);
    return marked || shown !== operand ? mark(value) : value;
  }

  /** A method of a text is foreseen and sees plain text; macros and functions take what they are given. */
  #call(node: Node, scope: Environment): Value {
    const callee: Node = node["callee"];
    if (callee.type !== "MemberExpression" || callee["property"].type === "SliceExpression") return this.#native(node, scope);
    const object = this.evaluate(callee["object"], scope);
    const key = callee["computed"] ? plain(this.evaluate(callee["property"], scope)) : textValue(String(callee["property"].value));
    const method = (target: Value): Node => ({ ...callee, type: "Method", object: given(target), computed: true, property: given(key) });
    if (!isText(object)) return this.#native({ ...node, callee: method(object) }, scope);
    const name = String(key.value);
    const { args, marked } = this.#arguments(node["args"], scope, true);
    if (name === "strip" || name === "lstrip" || name === "rstrip") {
      const characters: Value | undefined = args[0]?.["value"];
      const cut = characters !== undefined && isText(characters) ? new Set<string>(characters.value) : WHITESPACE;
      return textValue(strip(object.value, cut, name !== "rstrip", name !== "lstrip"));
    }
    this.#foresee(name, object, args);
    const value = super.evaluate({ ...node, callee: method(plain(object)), args }, scope);
    return marked || isGuarded(object.value) ? mark(value) : value;
  }

  #member(node: Node, scope: Environment): Value {
    const object = this.evaluate(node["object"], scope);
    if (!isText(object)) {
      const isKey = node["computed"] && node["property"].type !== "SliceExpression";
      const property = isKey ? given(plain(this.evaluate(node["property"], scope))) : node["property"];
      return this.#native({ ...node, object: given(object), property }, scope);
    }
    const value = this.#native({ ...node, object: given(plain(object)) }, scope);
    if (value.type === "FunctionValue") throw new Error("a method of a text must be called where it is named");
    return isGuarded(object.value) ? mark(value) : value;
  }

  /** Evaluated arguments, as nodes. @param look whether the callee sees the text behind the marks */
  #arguments(nodes: readonly Node[], scope: Environment, look: boolean): { args: Node[]; marked: boolean } {
    let marked = false;
    const evaluated = (node: Node): Node => {
      const value = this.evaluate(node, scope);
      const shown = look ? plain(value) : value;
      marked ||= shown !== value;
      return given(shown);
    };
    const args = nodes.map((node): Node => {
      if (node.type === "KeywordArgumentExpression") return { ...node, value: evaluated(node["value"]) };
      if (node.type === "SpreadExpression" || node.type === "KeywordSpreadExpression")
        return { ...node, argument: evaluated(node["argument"]) };
      return evaluated(node);
    });
    return { args, marked };
  }

  /** Refuses an operation whose result would be too large, before it is made. */
  #foresee(name: string, operand: Value, args: readonly Node[]): void {
    const values = args.flatMap((arg): Value[] =>
      spreadValues(arg.type === "Given" ? arg["value"] : (arg["value"] ?? arg["argument"]).value),
    );
    const texts = values.filter(isText).map((v) => v.value);
    if (name === "indent" || name === "tojson")
      for (const value of values)
        if (Number(value.value) > WIDEST || (isText(value) && value.value.length > WIDEST)) throw tooLarge(`an argument of ${name}`);
    if (name === "join") {
      const gaps = isText(operand) ? operand.value.length : isContainer(operand) ? items(operand).length : 0;
      this.#fits(gaps * (texts[0]?.length ?? 0) + this.#weigh(operand));
    }
    if (!isText(operand)) return;
    const text = reveal(operand.value);
    if (name === "replace") this.#fits(2 * (text.length + occurrences(text, texts[0] ?? "") * (texts[1]?.length ?? 0)));
    if (name === "split" && occurrences(text, texts[0]) >= MOST_ITEMS) throw tooLarge("a split text");
  }

  #fits(length: number): void {
    if (length > LONGEST) throw tooLarge("a text");
  }

  #plainWithin(value: Value): Value {
    this.#steps.take(this.#weigh(value) >> 5);
    return plainWithin(value);
  }

  #account(node: Node, value: Value): void {
    this.#steps.take(1);
    if (isText(value)) {
      this.#fits(value.value.length);
      this.#steps.take(value.value.length >> 5);
    } else if (isContainer(value)) {
      this.#weigh(value);
      if (node.type !== "Identifier" && node.type !== "MemberExpression") this.#stepThrough(value);
      else if (node["property"]?.type === "SliceExpression") this.#stepThrough(value);
    }
  }

  /** The library is about to go through a list, or has just made it. */
  #stepThrough(value: Value): void {
    if (!isContainer(value)) return;
    const { length } = items(value);
    if (length > MOST_ITEMS) throw tooLarge("a list");
    this.#steps.take(length >> 2);
  }

  /** Everything in a value, written out as a tree: lists that hold one another grow exponentially without it. */
  #weigh(value: Value): number {
    let total = 0;
    /** @returns whether the weight can be kept: namespaces change. */
    const add = (part: Value): boolean => {
      if (total > LONGEST) throw tooLarge("a list");
      if (!isContainer(part)) {
        total += isText(part) ? part.value.length : 0;
        return true;
      }
      const known = this.#weights.get(part);
      if (known !== undefined) {
        total += known;
        return true;
      }
      const before = total;
      let isFixed = part.type !== "NamespaceValue";
      for (const item of items(part)) {
        total += ITEM_WEIGHT;
        isFixed = add(item) && isFixed;
      }
      if (isFixed) this.#weights.set(part, total - before);
      return isFixed;
    };
    add(value);
    this.#fits(total);
    return total;
  }
}

function tooLarge(what: string): Error {
  return new Error(`${what} grows beyond ${LONGEST} characters or ${MOST_ITEMS} items`);
}
