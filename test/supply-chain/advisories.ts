/** What `npm audit --json` says, as an outcome. Whatever is not a complete answer of the registry is no pass. */

export interface AuditOutcome {
  /** 0: no advisories; 1: some; 3: not checked. */
  readonly status: 0 | 1 | 3;
  readonly words: string;
}

export function outcomeOf(stdout: string, stderr = ""): AuditOutcome {
  const answer = parse(stdout);
  const counts = answer?.metadata?.vulnerabilities;
  if (typeof counts?.total !== "number" || typeof answer?.vulnerabilities !== "object")
    return { status: 3, words: `NOT CHECKED: the registry gave no advisories. ${answer?.message ?? stderr.trim()}`.trim() };
  if (counts.total === 0) return { status: 0, words: "No known advisories." };
  const names = Object.values(answer.vulnerabilities).map(({ name, severity }) => `${name} (${severity})`);
  return { status: 1, words: `${counts.total} known advisories: ${names.join(", ")}` };
}

interface Audit {
  readonly message?: string;
  readonly vulnerabilities: Record<string, { name: string; severity: string }>;
  readonly metadata?: { vulnerabilities?: { total?: number } };
}

function parse(text: string): Audit | undefined {
  try {
    return (JSON.parse(text) ?? undefined) as Audit | undefined;
  } catch {
    return undefined;
  }
}
