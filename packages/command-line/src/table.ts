/** Makes columns as wide as the cells of a row. */
export function widenColumns(widths: number[], row: readonly string[]): void {
  for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
}

/** One row of cells in columns, two spaces between. Cells are safe for a terminal already. */
export function tableLine(
  row: readonly string[],
  { widths, rightAligned }: { readonly widths: readonly number[]; readonly rightAligned: readonly number[] },
): string {
  return row
    .map((cell, column) => {
      const width = widths[column] ?? 0;
      return rightAligned.includes(column) ? cell.padStart(width) : cell.padEnd(width);
    })
    .join('  ')
    .trimEnd();
}

/** Rows of cells in columns as wide as their widest cell. */
export function tableLines(
  rows: readonly (readonly string[])[],
  { rightAligned }: { readonly rightAligned: readonly number[] },
): string[] {
  const widths: number[] = [];
  for (const row of rows) widenColumns(widths, row);
  return rows.map((row) => tableLine(row, { widths, rightAligned }));
}
