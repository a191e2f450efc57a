/**
 * Questions to click. They are of the four forms that the shipped model was trained on, easy ones first.
 */
export interface Example {
  readonly name: string;
  readonly question: string;
  /** Options of the decision that asks the same. */
  readonly options: readonly string[];
}

const YES_NO = ["Yes", "No"];
const DIGITS = Array.from({ length: 10 }, (_, digit) => `${digit}`);

export const EXAMPLES: readonly Example[] = [
  { name: "Liars, 2 claims", question: "Question: Ada lies. Bo says Ada lies. Does Bo tell the truth?", options: YES_NO },
  {
    name: "Liars, 5 claims",
    question:
      "Question: Ada lies. Bo says Ada lies. Cem says Bo tells the truth. Dee says Cem lies. Eli says Dee tells the truth. Does Eli tell the truth?",
    options: YES_NO,
  },
  { name: "Sums", question: "Start with 3. Add 4. Double it. Subtract 9. What is the last digit?", options: DIGITS },
  { name: "Logic", question: "not ( True ) and ( False ) is", options: ["True", "False"] },
  {
    name: "Steps",
    question:
      "If you follow these instructions, do you return to the starting point? Always face forward. Take 2 steps forward. Take 2 steps backward.\nOptions:\n- Yes\n- No",
    options: YES_NO,
  },
];
