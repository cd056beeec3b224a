import type { Options } from 'yargs';
import type { CommandOf, CommandShape } from './command.ts';

/** Of what a script completes. */
export interface Completed {
  /** The program, as it is typed. */
  readonly program: string;
  /** Flags of every command. */
  readonly globalFlags: Readonly<Record<string, Options>>;
  /** Asked for when the command runs: the list has this command in it. */
  readonly commands: () => readonly NamedShape[];
}

type NamedShape = CommandShape & { readonly name: string };

/** The command that prints a completion script for a program. */
export function completionOf<Context>(
  completed: Completed,
): CommandOf<Context, { shell: 'bash' | 'zsh' }, string> {
  const { program } = completed;
  return {
    usage: 'completion [shell]',
    summary: 'Print a completion script for bash or zsh',
    examples: [
      [`source <(${program} completion)`, 'in ~/.bashrc'],
      [`source <(${program} completion zsh)`, 'in ~/.zshrc, after compinit'],
    ],
    positionals: {
      shell: { type: 'string', choices: ['bash', 'zsh'], default: 'bash', describe: 'bash or zsh' },
    },
    flags: {},
    run: (_context, { shell }) =>
      Promise.resolve(shell === 'bash' ? bashScript(completed) : zshScript(completed)),
    json: (script) => script,
    render(script, screen) {
      screen.line(script);
    },
  };
}

/** Completes commands, their flags, the values of flags that have a set of them, and file names everywhere else. */
function bashScript({ program, globalFlags, commands: listed }: Completed): string {
  const commands = listed();
  const flagsOf = (flags: Flags): string =>
    `flags='${flagWords({ ...flags, ...globalFlags })}' valued='${valuedWords({ ...flags, ...globalFlags }).join(' ')}'`;
  const cases = commands.map(({ name, flags }) => `    ${name}) ${flagsOf(flags)} ;;`);
  const choices = [...choicesOf(commands)].map(
    ([key, values]) =>
      `    '${key}') [[ $word == --* ]] || { COMPREPLY=($(compgen -W '${values.join(' ')}' -- "$word")); return; } ;;`,
  );
  const own = `_${program.replaceAll('-', '_')}`;
  return `# bash completion for ${program}
${own}() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} name= flags= valued= index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      ${valuedWords(globalFlags).join(' | ')}) ((index++)) ;;
      -*) ;;
      *) name=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $name in
    '') ${flagsOf({})} ;;
${cases.join('\n')}
    help) COMPREPLY=($(compgen -W '${names(commands)}' -- "$word")); return ;;
  esac
  case "$name $previous" in
${choices.join('\n')}
  esac
  if [[ " $valued " != *" $previous "* ]]; then
    if [[ $word == -* ]]; then
      COMPREPLY=($(compgen -W "$flags" -- "$word"))
      return
    elif [[ -z $name ]]; then
      COMPREPLY=($(compgen -W '${names(commands)} help' -- "$word"))
      return
    fi
  fi
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$word"))
}
complete -F ${own} ${program}`;
}

/** zsh runs bash's functions through its own bashcompinit. */
function zshScript(completed: Completed): string {
  return `# zsh completion for ${completed.program}
autoload -Uz bashcompinit && bashcompinit
${bashScript(completed).replace(/^#.*\n/, '')}`;
}

type Flags = Readonly<Record<string, Options>>;

function names(commands: readonly NamedShape[]): string {
  return commands.map(({ name }) => name).join(' ');
}

function flagWords(flags: Flags): string {
  return Object.keys(flags)
    .map((name) => `--${name}`)
    .join(' ');
}

/** Flags after which a value stands. */
function valuedWords(flags: Flags): string[] {
  return Object.entries(flags)
    .filter(([, flag]) => flag.type !== 'boolean' && flag.boolean !== true)
    .map(([name]) => `--${name}`);
}

/** `command --flag`, or `command command` for its first word, with the values that may follow. */
function choicesOf(commands: readonly NamedShape[]): Map<string, string[]> {
  const choices = new Map<string, string[]>();
  for (const { name, flags, positionals } of commands) {
    const [first] = Object.values(positionals);
    if (first?.choices !== undefined) choices.set(`${name} ${name}`, first.choices.map(String));
    for (const [flag, { choices: values }] of Object.entries(flags)) {
      if (values !== undefined) choices.set(`${name} --${flag}`, values.map(String));
    }
  }
  return choices;
}
