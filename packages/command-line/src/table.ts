/** Rows of cells in columns as wide as their widest cell, two spaces between. Cells are safe for a terminal already. */
export function tableLines(
  rows: readonly (readonly string[])[],
  { rightAligned }: { readonly rightAligned: readonly number[] },
): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return rightAligned.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
