export interface ReadSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"';

/**
 * Reads Prometheus' text format 0.0.4 by its rules alone: HELP and TYPE once and before the samples of a name, all lines of a
 * name together, no sample twice, a line feed at the end.
 */
export function parseExposition(text: string): ReadSample[] {
  if (!text.endsWith('\n')) throw new Error('no line feed at the end');
  const samples: ReadSample[] = [];
  const seen = new Set<string>();
  const keys = new Set<string>();
  let current = '';
  let hasType = false;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line);
    const type = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`).exec(line);
    if (help !== null) {
      current = help[1] ?? '';
      if (seen.has(current)) throw new Error(`${current} comes twice`);
      seen.add(current);
      hasType = false;
      continue;
    }
    if (type !== null) {
      if (type[1] !== current || hasType) throw new Error(`TYPE is not after HELP: ${line}`);
      hasType = true;
      continue;
    }
    const match = new RegExp(`^(${NAME})(?:\\{((?:${LABEL},?)*)\\})? (\\S+)$`).exec(line);
    const name = match?.[1];
    const value = Number(match?.at(-1));
    if (match === null || name !== current || !hasType || !Number.isFinite(value))
      throw new Error(`bad line: ${line}`);
    const labels: Record<string, string> = {};
    for (const [, key = '', raw = ''] of (match[2] ?? '').matchAll(new RegExp(LABEL, 'g'))) {
      if (key in labels) throw new Error(`label ${key} twice: ${line}`);
      labels[key] = raw.replace(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char));
    }
    const id = line.slice(0, line.lastIndexOf(' '));
    if (keys.has(id)) throw new Error(`sample twice: ${line}`);
    keys.add(id);
    samples.push({ name, labels, value });
  }
  return samples;
}
