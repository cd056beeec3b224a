const actions = new Set<() => void>();

/**
 * Runs `action` when this process ends without having undone what it made, the newest first.
 * @returns takes it back
 */
export function atExit(action: () => void): () => void {
  if (actions.size === 0) process.on('exit', runAll);
  actions.add(action);
  return () => {
    actions.delete(action);
    if (actions.size === 0) process.off('exit', runAll);
  };
}

function runAll(): void {
  for (const action of [...actions].reverse()) action();
}
