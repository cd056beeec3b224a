import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const IO_MODULES = [
  'node:fs',
  'node:fs/promises',
  'node:child_process',
  'node:net',
  'node:os',
  'node:worker_threads',
  'node:tty',
  'fs',
  'fs/promises',
  'child_process',
  'net',
  'os',
];
const LIBRARIES_WITH_IO = ['ssh2', 'better-sqlite3', 'koffi', 'systeminformation', 'fast-glob'];

/** Forbids imports by the layout's arrows: paths and patterns with the reason that a developer reads. */
const forbid = ({ paths = [], patterns = [] }) => ({
  'no-restricted-imports': [
    'error',
    {
      paths: paths.map(({ name, message }) => ({ name, message })),
      patterns: patterns.map(({ group, message }) => ({ group, message })),
    },
  ],
});
const noIo = [...IO_MODULES, ...LIBRARIES_WITH_IO].map((name) => ({
  name,
  message: 'Pure code imports no I/O: only adapters and main.ts do.',
}));
/** The names of its errors, `@bakker/linux/errno`, are for whoever puts a failure in words. */
const noCalls = { name: '@bakker/linux', message: 'Only adapters call the kernel.' };

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.tap/**', 'eslint.config.js'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      'no-console': 'error',
      'no-control-regex': 'off',
      'no-restricted-exports': [
        'error',
        { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } },
      ],
      eqeqeq: 'error',
    },
  },
  {
    files: ['packages/{impl-format,retention}/src/**'],
    rules: forbid({
      paths: noIo,
      patterns: [{ group: ['@bakker/*'], message: 'A pure package imports no sibling.' }],
    }),
  },
  {
    files: ['packages/sftp/src/**'],
    rules: forbid({
      paths: noIo,
      patterns: [{ group: ['@bakker/*'], message: 'The SFTP package imports no sibling.' }],
    }),
  },
  {
    files: ['packages/command-line/src/**'],
    rules: forbid({
      paths: noIo,
      patterns: [{ group: ['@bakker/*'], message: 'The frame of command lines knows no program.' }],
    }),
  },
  {
    files: ['packages/linux/src/**'],
    rules: forbid({
      patterns: [{ group: ['@bakker/*'], message: 'The calls of Linux know nothing of bakker.' }],
    }),
  },
  {
    files: ['packages/storage-shell/src/**'],
    ignores: ['packages/storage-shell/src/adapters/**', 'packages/storage-shell/src/main.ts'],
    rules: forbid({
      paths: [...noIo, noCalls],
      patterns: [
        {
          group: ['**/adapters/**'],
          message: 'Only main.ts and tests import adapters; speak through a port.',
        },
      ],
    }),
  },
  {
    files: ['packages/agent/src/**'],
    ignores: ['packages/agent/src/adapters/**', 'packages/agent/src/main.ts'],
    rules: forbid({
      paths: [...noIo, noCalls],
      patterns: [
        {
          group: ['**/adapters/**'],
          message: 'Only main.ts and tests import adapters; speak through a port.',
        },
        { group: ['@bakker/sftp'], message: 'Only adapters speak SFTP.' },
      ],
    }),
  },
  {
    files: ['**/test/**', 'bench/**', 'scripts/**'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    files: ['**/test/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            "CallExpression[callee.property.name='match'] > :matches(ObjectExpression, ArrayExpression) ArrayExpression[elements.length=0]",
          message: 'Every list matches an empty one: say { length: 0 }.',
        },
      ],
    },
  },
);
