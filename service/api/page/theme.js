"use strict";
// Runs before the page is drawn, so that it never flashes in the other theme.
{
  const chosen = localStorage.getItem("modstream.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
