import type { Options } from '@bakker/command-line';
import type { Command, ListedCommand } from './command.ts';
import { GLOBAL_FLAGS } from './global-flags.ts';

/** @param commands - asked for when it runs: the list has this command in it */
export function completion(
  commands: () => readonly ListedCommand[],
): Command<{ shell: 'bash' | 'zsh' }, string> {
  return {
    usage: 'completion [shell]',
    summary: 'Print a completion script for bash or zsh',
    examples: [
      ['source <(bakker completion)', 'in ~/.bashrc'],
      ['source <(bakker completion zsh)', 'in ~/.zshrc, after compinit'],
    ],
    positionals: {
      shell: { type: 'string', choices: ['bash', 'zsh'], default: 'bash', describe: 'bash or zsh' },
    },
    flags: {},
    run: async (_context, { shell }) => (shell === 'bash' ? bashScript(commands()) : zshScript(commands())),
    json: (script) => script,
    render(script, screen) {
      screen.line(script);
    },
  };
}

/** Completes commands, their flags, the values of flags that have a set of them, and file names everywhere else. */
function bashScript(commands: readonly ListedCommand[]): string {
  const cases = commands.map(
    ({ name, flags }) => `    ${name}) flags='${flagWords(flags)}' valued='${valuedWords(flags)}' ;;`,
  );
  const choices = [...choicesOf(commands)].map(
    ([key, values]) =>
      `    '${key}') [[ $word == --* ]] || { COMPREPLY=($(compgen -W '${values.join(' ')}' -- "$word")); return; } ;;`,
  );
  return `# bash completion for bakker
_bakker() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} name= flags= valued= index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case \${COMP_WORDS[index]} in
      --config | --state) ((index++)) ;;
      -*) ;;
      *) name=\${COMP_WORDS[index]}; break ;;
    esac
  done
  case $name in
    '') flags='${flagWords({})}' valued='${valuedWords({})}' ;;
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
complete -F _bakker bakker`;
}

/** zsh runs bash's functions through its own bashcompinit. */
function zshScript(commands: readonly ListedCommand[]): string {
  return `# zsh completion for bakker
autoload -Uz bashcompinit && bashcompinit
${bashScript(commands).replace(/^#.*\n/, '')}`;
}

function names(commands: readonly ListedCommand[]): string {
  return commands.map(({ name }) => name).join(' ');
}

function flagWords(flags: Readonly<Record<string, Options>>): string {
  return Object.keys({ ...flags, ...GLOBAL_FLAGS })
    .map((name) => `--${name}`)
    .join(' ');
}

/** Flags after which a value stands. */
function valuedWords(flags: Readonly<Record<string, Options>>): string {
  return Object.entries<Options>({ ...flags, ...GLOBAL_FLAGS })
    .filter(([, flag]) => flag.type !== 'boolean' && flag.boolean !== true)
    .map(([name]) => `--${name}`)
    .join(' ');
}

/** `command --flag`, or `command command` for its first word, with the values that may follow. */
function choicesOf(commands: readonly ListedCommand[]): Map<string, string[]> {
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
