// Before anything is drawn: the colours that this person chose here. A file of its own, for the content security policy allows no inline script.
(function () {
  try {
    var theme = localStorage.getItem('tomei.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // No storage: the system's colours.
  }
})();
