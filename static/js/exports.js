// While the browser downloads an export, the page shows how far it is. (htmx would take the click for itself.)
document.addEventListener("click", (event) => {
  if (event.target.closest("a[data-export]")) {
    window.htmx.trigger("#export-progress", "export");
  }
});
