const VARIABLE = /\$\(([A-Za-z0-9_]+)\)/g;

/** A variable of the template is no column of the target. */
export class TemplateMismatch extends Error {}

/** The text with each `$(NAME)` replaced by the column of that name. */
export function render(text: string, columns: Record<string, string>): string {
  return text.replace(VARIABLE, (_, name: string) => {
    if (!(name in columns)) {
      throw new TemplateMismatch(`$(${name}) is not a column of the target query`);
    }
    return columns[name];
  });
}
